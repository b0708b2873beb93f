"""The ranks: who they are, what they add, what they agree on.

Knows nothing of networks or files.
"""
