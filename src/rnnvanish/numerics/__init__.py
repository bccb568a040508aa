"""Mathematics that knows no model: norms, singular values, intervals, complex numbers as real ones."""
