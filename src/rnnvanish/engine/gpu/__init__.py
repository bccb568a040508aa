"""Code generation for the GPU, by Triton."""
