"""For all tests, examples in docstrings among them: annotations are checked."""

import checked_annotations

checked_annotations.install()
