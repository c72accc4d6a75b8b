from .connection import Connection as Connection
from .local_workers import LocalWorkers as LocalWorkers
from .remote_model import RemoteModel as RemoteModel
from .remote_session import RemoteSession as RemoteSession
