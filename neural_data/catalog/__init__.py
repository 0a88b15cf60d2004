"""Public data sets: what they hold, how to cite them, and their download."""
