"""What is set for the next time, and the store of encoded frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.settings import MODEL_SETTINGS, Settings, read_settings, save_settings


class SettingsController:
    """Brings the state to what is set, and saves what a person changes.

    Parameters
    ----------
    state : AppState
    """

    features_measured = Signal(int, int)
    """Bytes of encoded frames in memory and on disk."""

    features_failed = Signal()
    """They can't be told; the error was shown."""

    def __init__(self, state: AppState) -> None:
        self.settings: Settings = read_settings()
        self._errand = Errand()
        same = ("model", "device", "resolution", "detector", *MODEL_SETTINGS)
        values = {name: getattr(self.settings, name) for name in same}
        state.update(keeps_results=self.settings.keep_results, **values)

    def save(self, name: str, value: str | int) -> None:
        """Keep a setting for the next time."""
        try:
            save_settings(**{name: value})
        except OSError as exc:
            show_error(f"the setting holds for this window only, for it can't be saved: {exc}")

    def limit_features(self, memory_mb: int, disk_mb: int) -> None:
        """Say what encoded frames may take."""
        self._send(lambda cache: cache.set_features_budget(memory_mb, disk_mb))

    def empty_features(self) -> None:
        """Delete all encoded frames."""
        self._send(lambda cache: cache.SHARED_FEATURES.clear())

    def measure_features(self) -> None:
        """Look what encoded frames take."""
        self._send(lambda cache: None)

    def close(self) -> None:
        """Hear no more of what is being looked up."""
        self._errand.drop()

    def _send(self, act: Callable[[Any], object]) -> None:
        """Do something with the module of encoded frames, then measure them."""

        def work() -> tuple[int, int]:
            from napari_sam3.models.sam import feature_cache

            act(feature_cache)
            shared = feature_cache.SHARED_FEATURES
            return shared.memory_used, shared.disk_used

        # in a thread: the first one imports torch, and files take their time
        self._errand.start(work, lambda used: self.features_measured.emit(*used), self._on_failed)

    def _on_failed(self, error: Sam3Error) -> None:
        self.features_failed.emit()
        show_error(str(error))
