"""Pays several payments in one run, row by row, at a pace that the portal allows."""
