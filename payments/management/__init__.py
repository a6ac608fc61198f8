"""Runs the commands of payments: pay, reconcile and verify_ledger."""
