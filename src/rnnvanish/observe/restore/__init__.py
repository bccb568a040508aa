"""A model is borrowed and given back as it was: its tensors, its attributes, random number generators."""
