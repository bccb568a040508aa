"""A report of what was found: as rows, as text, on a terminal, as a page, as data."""
