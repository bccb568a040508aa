"""Studies: many trials of what a network learns, run once, kept, and read by whoever needs them."""
