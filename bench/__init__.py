"""Measures the app beside the same work written plainly, and beside what the network allows.

`python -m bench` runs all of it; nothing but `tests` imports this package.
"""
