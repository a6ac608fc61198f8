"""Looks up reference data of a portal (pay systems, users, the owners of orders), cached."""
