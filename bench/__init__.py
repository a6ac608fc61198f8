"""Measures the app against other clients doing the same work, and against the network's limit."""
