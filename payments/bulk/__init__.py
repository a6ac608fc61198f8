"""Several payments at once: shown first, then paid one after another at the portal's own pace.

A run is worked by its person's open page, which asks for each step. Nothing is paid while nobody
looks, and everything a step needs stands in the database.
"""
