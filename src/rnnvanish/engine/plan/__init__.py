"""How a loop is laid out before code is generated: its phases, its memory, a parallel scan."""
