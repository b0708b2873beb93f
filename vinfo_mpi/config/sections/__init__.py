"""The sections of the configuration, each with its settings, their defaults, what they may be."""
