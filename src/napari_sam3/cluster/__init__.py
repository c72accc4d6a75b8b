"""Computing on another machine: sessions whose model runs on a worker of a Dask cluster.

`RemoteModel` is a model like any other, as `napari_sam3.models.base` says what that is; so all that
is built on models works with it: sessions, projects, the window, the command line. Dask is known
here alone, and imported when it is first used.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
