"""What is drawn is previewed as it is drawn, by real clicks; fake model unless said otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plugin.conftest import disc


def preview_of(dock):
    found = [one for one in dock.viewer.layers if one.metadata.get("sam3_preview")]
    assert len(found) < 2
    return found[0] if found else None


@pytest.fixture
def ready(ready):
    ready.viewer.dims.set_current_step(0, 0)
    return ready


@pytest.fixture
def previewed(qtbot):
    """A function that waits until all that is drawn was looked at."""

    def previewed(dock):
        qtbot.waitUntil(lambda: not dock.tracking.preview.is_working)
        return preview_of(dock)

    return previewed


def test_a_click_shows_what_segment_frame_will_show(ready, previewed, work):
    layer = previewed(ready)
    shown = np.array(layer.data[0])
    assert set(np.unique(shown)) == {0, 1}
    assert not (shown.astype(bool) & ~disc(0, 30, 40)).any()
    assert ready.state.preview.objects == (1,)
    assert ready.tracking.results is None
    work(ready, ready.segment_frame)
    assert preview_of(ready) is None
    assert ready.state.preview.objects == ()
    assert np.array_equal(np.asarray(ready.tracking.results.planes[0]) == 1, disc(0, 30, 40))
