"""The record of a search on disk."""
