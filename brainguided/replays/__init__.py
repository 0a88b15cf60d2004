"""Searches on tables of results, on journals, and on a virtual clock."""
