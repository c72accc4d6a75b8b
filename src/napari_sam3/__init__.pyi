from .batch import TrackedVideo as TrackedVideo, run_batch as run_batch, track_video as track_video
from .plugin.scripting.attach import attach as attach
from .session.predictor import Sam3VideoPredictor as Sam3VideoPredictor
from .session.session import VideoSession as VideoSession
from .video import Video as Video, open_video as open_video

__version__: str
