"""A simulated macaque and the objects it sees, with known truth."""
