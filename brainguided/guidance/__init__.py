"""Teachers, and how similar a candidate is to them."""
