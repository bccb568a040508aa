"""Lowering a traced step: from the operations of torch to values."""
