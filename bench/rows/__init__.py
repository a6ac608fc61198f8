"""One module a row of the table; each has `measure`, which returns the lines it found."""
