"""The dock widget "Segment and track", and its parts."""

from napari_sam3.plugin.widget.dock import SegmentAndTrackWidget

__all__ = ["SegmentAndTrackWidget"]
