"""Public data sets: what they hold, how to cite them, and their download."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
