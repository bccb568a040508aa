"""Where the first number that is none comes from: the operations of a run, forward and backward, and why one of them."""
