"""Networks, their taps and heads, data sets, checkpoints."""
