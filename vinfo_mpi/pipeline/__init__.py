"""Running what is stale, and what it takes."""
