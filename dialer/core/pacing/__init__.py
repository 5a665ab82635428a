"""How many calls to place now."""
