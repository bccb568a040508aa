"""Studies: many trials of what networks learn, run once, kept, and read by whoever needs them."""

from rnnvanish.studies.reader import Results, results
from rnnvanish.studies.store import Store
from rnnvanish.studies.study import Study
from rnnvanish.studies.trial import Trial

__all__ = ["Results", "Store", "Study", "Trial", "results"]
