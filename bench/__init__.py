"""Benchmarks for asv: training speed, gradient retention and memory of every cell, over commits and machines."""
