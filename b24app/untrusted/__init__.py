"""Cleans and bounds texts, numbers and JSON that come from outside."""
