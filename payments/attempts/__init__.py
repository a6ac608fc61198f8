"""Runs attempts to pay, mark or undo: claims, checks, sends once, reads back and settles them."""
