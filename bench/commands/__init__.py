"""What `make bench-...` runs."""
