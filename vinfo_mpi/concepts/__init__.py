"""What concepts are, how images are expressed in them, and how well they can be read."""
