"""Running somebody's model with its loops over time in sight, and leaving it as it was."""
