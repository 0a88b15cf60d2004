"""What a lab reports of any network: which layer corresponds to which area, and how surely."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
