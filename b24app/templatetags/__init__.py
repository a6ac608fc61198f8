"""Template filters that write dates and times."""
