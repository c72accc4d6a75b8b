"""Which buttons of the dock can be pressed now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam3.plugin.views.status_text import Phase

if TYPE_CHECKING:
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget


def enable_buttons(dock: SegmentAndTrackWidget) -> None:
    """Close those that could do nothing now, or only spoil the work under way."""
    state, is_idle = dock.state, dock.job is None
    may_change = state.has_video and not state.why_read_only
    dock.video_fields.group.setEnabled(is_idle)
    dock.prompt_fields.new.enabled = may_change
    for button in (dock.track_fields.segment, dock.track_fields.propagate):
        button.enabled = may_change and is_idle
    dock.track_fields.stop.enabled = not is_idle and state.phase is not Phase.STOPPING
    dock.object_controls.set_free(
        may_reset=state.has_video and is_idle, may_remove=may_change and is_idle
    )
