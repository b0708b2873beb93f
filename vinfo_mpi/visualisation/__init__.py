"""Pictures that are changed until a concept is there."""
