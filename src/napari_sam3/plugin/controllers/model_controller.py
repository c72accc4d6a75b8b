"""The model that is chosen, and what is known of all models, here or where models run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from napari.utils.notifications import show_error

from napari_sam3.cluster import ModelThere
from napari_sam3.plugin.controllers.compute_controller import ComputeController
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.model.app_state import AppState, Outcome
from napari_sam3.plugin.model.model_catalog import (
    AUTO,
    ModelCatalog,
    survey_models,
    survey_workers,
)
from napari_sam3.settings import save_settings


class ModelController:
    """Chooses models, and keeps the catalog true.

    Parameters
    ----------
    state : AppState
        With the choice and the catalog.
    compute : ComputeController
        Tells which models the workers have, where models run there.

    Attributes
    ----------
    survey : Errand
        That looks what is on this machine.
    """

    def __init__(self, state: AppState, compute: ComputeController) -> None:
        self._state = state
        self._here = state.catalog
        self.survey = Errand()
        state.events.compute.connect(self._on_compute_changed)
        compute.models_told.connect(self._on_workers_told)
        state.events.model.connect(self._on_model_changed)
        self.refresh()

    def choose(self, model: str, device: str | None = None) -> None:
        """Choose a model; a name that is not offered is said to be wrong when it is used."""
        if device is not None:
            self._state.device = device
        self._state.model = model

    def choose_for_good(self, model: str) -> None:
        """Choose a model for the next time, too."""
        if model == self._state.model:
            return
        self._state.model = model
        if model in self._here.entries or model == AUTO:
            try:
                save_settings(model=model)
            except OSError as exc:
                show_error(f"the choice holds for this window only, for it can't be saved: {exc}")

    def take_new(self, model: str) -> None:
        """Use a model that has just come to this machine; not while one is at work."""
        # it may be a better one for "auto"
        self._take_here(replace(self._here, auto=None))
        if self._state.is_idle and not self._state.compute:
            self.choose(model)
        self.refresh()

    def refresh(self) -> None:
        """Look again what is on the disk; the catalog follows within a moment."""
        model = self._state.model
        self.survey.start(lambda: survey_models(model), self._on_surveyed)

    def close(self) -> None:
        """Hear no more of a survey that is under way."""
        self.survey.drop()

    def _on_model_changed(self, _model: str) -> None:
        if self._state.outcome is Outcome.FAILED:
            self._state.outcome = Outcome.NONE  # what failed was the model of before
        self.refresh()  # for its devices

    def _on_surveyed(self, catalog: ModelCatalog) -> None:
        before = self._here.auto
        # not another one in the midst of work, for more or less memory is free
        self._take_here(catalog if before is None else replace(catalog, auto=before))

    def _take_here(self, catalog: ModelCatalog) -> None:
        """Know the models of this computer, which are offered where they run here."""
        self._here = catalog
        if not self._state.compute:
            self._state.catalog = catalog

    def _on_compute_changed(self, address: str) -> None:
        self._state.catalog = survey_workers(address, {}) if address else self._here

    def _on_workers_told(self, told: Mapping[str, Collection[ModelThere]]) -> None:
        if self._state.compute:
            self._state.catalog = survey_workers(self._state.compute, told)
