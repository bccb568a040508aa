"""The cells of `steps.py` can be imported by the tests of this folder."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("engine_steps", Path(__file__).with_name("steps.py"))
sys.modules["engine_steps"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
