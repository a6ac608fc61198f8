"""Keeps the ledger: appends entries, chains them by hashes, verifies and removes them."""
