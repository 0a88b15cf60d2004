"""Where evaluations run: this machine, a Ray cluster, or a folder shared by machines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
