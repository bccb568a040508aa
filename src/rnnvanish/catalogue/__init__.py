"""The bodies of `rnnvanish cells` and `rnnvanish mitigations`: all of them in a table, or one of them at length."""
