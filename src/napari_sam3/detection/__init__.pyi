from .base import Detector as Detector
from .known_objects import known_of_prompts as known_of_prompts, new_objects as new_objects
from .proposals import NewObjects as NewObjects, propose as propose
from .registry import (
    DetectorEntry as DetectorEntry,
    detect_objects as detect_objects,
    find_detector as find_detector,
    goes_by_example as goes_by_example,
    list_detectors as list_detectors,
)
