"""What a fused loop owes to autograd: saved tensors, gradients of their own, double backward."""
