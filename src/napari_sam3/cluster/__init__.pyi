from .connection import Connection as Connection
from .remote_model import RemoteModel as RemoteModel
from .remote_session import RemoteSession as RemoteSession
