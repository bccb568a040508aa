"""Code generation for the CPU, by Numba."""
