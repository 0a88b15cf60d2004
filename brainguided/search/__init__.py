"""Ask, evaluate, tell: the search itself, its finalists and its winner."""
