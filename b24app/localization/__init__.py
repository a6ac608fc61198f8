"""Languages, time zones and the form of dates."""
