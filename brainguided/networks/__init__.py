"""Architectures as torch modules, their layers, and what these do with images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
