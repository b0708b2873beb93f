"""The experiment: every setting, and reading it."""
