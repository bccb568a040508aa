"""Why recurrent networks forget, and what helps: measured."""

from rnnvanish import cells, mitigations, probes
from rnnvanish.diagnosis import assert_retention, diagnose
from rnnvanish.recurrent import Recurrent

__all__ = ["Recurrent", "assert_retention", "cells", "diagnose", "mitigations", "probes"]
