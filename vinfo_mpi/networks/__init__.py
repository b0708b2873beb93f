"""Networks: building, reading, and what they decide from."""
