"""Dissimilarities of conditions and their comparison."""
