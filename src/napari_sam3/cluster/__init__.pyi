from .connection import Connection as Connection
from .link import LinkLost as LinkLost
from .local_workers import LocalWorkers as LocalWorkers
from .models_there import ModelThere as ModelThere, models_on as models_on
from .remote_model import RemoteModel as RemoteModel
from .remote_session import RemoteSession as RemoteSession
