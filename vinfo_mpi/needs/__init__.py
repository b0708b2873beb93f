"""What each stage needs, before any work is done: a file of formulas each, from the sizes of a run and its settings."""
