"""Receives the events of portals, queues them and handles them."""
