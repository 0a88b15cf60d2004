"""Evaluations by workers that share nothing but a folder."""
