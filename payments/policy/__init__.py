"""Keeps the rules that a portal's administrators set for payments, and checks payments by them."""
