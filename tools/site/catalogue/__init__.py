"""Pages made from a catalogue of the package, and what those of cells and of cures say."""
