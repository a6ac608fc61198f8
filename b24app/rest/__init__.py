"""Calls the REST methods of portals, safely and within bounds."""
