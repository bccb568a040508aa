"""What is stored: the ledger of claims, which rnnvanish this is, where a number comes from, files that are written whole."""
