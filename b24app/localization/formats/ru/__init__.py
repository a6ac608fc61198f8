"""Django's date formats in Russian."""
