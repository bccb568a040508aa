"""Running somebody's model with its loops over time recorded, and leaving it as it was."""
