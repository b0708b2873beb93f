"""The main stages and the pages: each a file."""
