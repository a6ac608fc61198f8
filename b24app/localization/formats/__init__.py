"""Dates by language, where Django's own do not fit into a sentence."""
