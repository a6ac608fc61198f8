"""Background work: rows that are due, the jobs of `manage.py work`, and the daily pruning."""
