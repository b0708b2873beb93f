"""The command line: options, the guard over all ranks, what is printed."""
