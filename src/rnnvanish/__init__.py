"""Why recurrent networks forget, and what helps: measured."""

from rnnvanish import cells, mitigations, probes
from rnnvanish.diagnosis import diagnose
from rnnvanish.recurrent import Recurrent

__all__ = ["Recurrent", "cells", "diagnose", "mitigations", "probes"]
