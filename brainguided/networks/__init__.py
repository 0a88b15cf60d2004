"""Architectures as torch modules, their layers, and what these do with images."""
