"""Ours beside what a user would pick instead: `python -m benchmarks.<name>`, one file each."""

import os

# Before OpenMP is loaded, as our commands do: for peers too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
