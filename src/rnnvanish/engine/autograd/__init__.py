"""What a compiled loop owes to autograd: gradients that share no memory, and inputs that were not changed meanwhile."""
