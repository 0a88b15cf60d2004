"""Search algorithms: each proposes architectures and learns from their rewards.

One file an algorithm. What a controller proposes depends only on its settings, its seed and the
rewards it was told, never on the global random generators, the number of threads or the time. So
a search can be resumed by replaying it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
