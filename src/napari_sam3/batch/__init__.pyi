from .run import BatchReport as BatchReport, run_batch as run_batch
from .summary import BatchRow as BatchRow
from .tracked_video import TrackedVideo as TrackedVideo
from .tracking import track_video as track_video
