"""Measures the rows of the table, one module a row."""
