"""How reproducible responses and dissimilarities are over repetitions."""
