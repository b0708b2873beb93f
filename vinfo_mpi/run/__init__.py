"""One run: what every stage is given."""
