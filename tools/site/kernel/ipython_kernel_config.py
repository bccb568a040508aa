"""Read by every kernel that executes a page."""

import sys
from pathlib import Path

c = get_config()  # noqa: F821
c.IPKernelApp.log_level = "ERROR"
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {"metadata": {"Date": None, "Creator": None}, "bbox_inches": "tight"}
c.HistoryManager.enabled = False
# Extensions, for what a startup file defines would stand among a page's own names.
sys.path.append(str(Path(__file__).parent))
c.InteractiveShellApp.extensions = ["no_network", "figure_numbers"]
