"""What is stored: the ledger of claims, where a number comes from, files that are written whole."""
