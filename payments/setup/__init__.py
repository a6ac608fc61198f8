"""Lets an administrator set up pay systems, their handlers and manual settlement."""
