"""Why recurrent networks forget, and what helps: measured."""

from rnnvanish import cells
from rnnvanish.recurrent import Recurrent

__all__ = ["Recurrent", "cells"]
