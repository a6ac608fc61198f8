"""Talks to the OAuth server, keeps token pairs and renews them."""
