"""The pages about speed, made from recorded results."""
