"""Read by every kernel that executes a page."""

c = get_config()  # noqa: F821
c.IPKernelApp.log_level = "ERROR"
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {"metadata": {"Date": None, "Creator": None}, "bbox_inches": "tight"}
c.HistoryManager.enabled = False
