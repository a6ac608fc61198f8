"""Shows, sums up, prints and exports the attempts that a person may see."""
