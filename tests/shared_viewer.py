"""One napari viewer for all the tests of a package, cleaned between them.

A viewer takes longer to make and to close than most tests take to run. A clean one must be as a
new one: `SharedViewer.clean` puts back what can be put back, then compares what is seen of the
viewer with what was seen when it was made, and fails the test that left something.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import FunctionType
from typing import Any
from unittest.mock import Mock, patch

CALLBACKS = ("mouse_drag", "mouse_move", "mouse_wheel", "mouse_double_click")
THREADS_MAY_TAKE = 20
"""Seconds; for those that were told to stop, on a busy machine."""
CLEANINGS = 3
"""Before what is left is held against the test: on a busy machine events may come late."""
THREADS_OF_OTHERS = (
    *("serve_forever", "process_request_thread"),  # servers of fixtures, which may end later
    *("zarr_io", "asyncio_", "tqdm", "write features"),  # of the process, which stay
)
_SIGNATURES: dict[tuple[Any, bool, int], bool] = {}
"""Whether a callback takes the event, by code, if it is a plain function, number of defaults."""
_VARIABLES: dict[tuple[str, ...], dict[str, tuple[Any, ...]]] = {}
"""What a program's code declares, by the code of its shaders."""


class SharedViewer:
    """A viewer that is lent to one test after another; made when the first one asks.

    Use as a context, which closes it and looks for what it leaves behind.
    """

    def __init__(self) -> None:
        self.viewer: Any = None
        self._is_lent = False
        self._others: list[Any] = []
        self._seen_new: dict[str, Any] = {}
        self._model_new: dict[str, Any] = {}
        self._patches = ExitStack()

    def __enter__(self) -> SharedViewer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def lend(self, *, show: bool = False) -> Any:
        """A viewer as new, without welcome screen; its window on the screen if asked for.

        A test that asks again gets another one, which is closed when the test has ended.
        """
        if self.viewer is None:
            self._make()
        if self._is_lent:
            viewer = _make_viewer()
            self._others.append(viewer)
        else:
            viewer, self._is_lent = self.viewer, True
            _make_current(viewer, True)
            # a test without a viewer may have begun some, as Dask keeps its own
            self._seen_new["threads"] |= _threads()
        if show:
            viewer.window.show()
            _process_events()
        return viewer

    def take_back(self, viewer: Any) -> None:
        """End what a test does with a viewer; the next one that it asks for may be the same.
        To the plugin it is as if the window was closed, which takes longer than most tests.
        """
        if viewer is self.viewer:
            _put_back(viewer, self._seen_new, self._model_new)
            self._is_lent = False
            _make_current(viewer, False)
        else:
            self._others.remove(viewer)
            _close_viewer(viewer)

    def clean(self) -> None:
        """Make the viewer as new, for the next test.

        Raises
        ------
        AssertionError
            If the test left something that can't be put back; the viewer is closed then.
        """
        self._is_lent = False
        if self.viewer is None:
            return
        if not hasattr(self.viewer.window, "_qt_window"):
            self.close()  # as the test has done
            return
        self._close_others()
        _make_current(self.viewer, True)
        for _ in range(CLEANINGS):
            _put_back(self.viewer, self._seen_new, self._model_new)
            left = self._find_left()
            if not left:
                break
        else:
            self.close(is_checked=False)
            raise AssertionError("left in the viewer:\n" + "\n".join(left))
        _make_current(self.viewer, False)
        gc.freeze()  # what has stayed, modules mostly, need not be looked at after each test

    def close(self, *, is_checked: bool = True) -> None:
        """Close the viewer; a new one is made when one is asked for again.

        Raises
        ------
        AssertionError
            If something holds the window that was closed, and `is_checked`.
        """
        from napari._qt.qt_viewer import QtViewer  # noqa: TID251

        if self.viewer is None:
            return
        viewer, self.viewer, self._is_lent = self.viewer, None, False
        _make_current(viewer, True)
        try:
            with self._patches:
                self._close_others()
                _close_viewer(viewer)
        finally:
            del viewer
            _process_events()
            gc.collect()
            n_left = len(QtViewer._instances)
            QtViewer._instances.clear()  # they are told of once
        assert not (is_checked and n_left), "something holds a window that was closed"

    def _make(self) -> None:
        from napari._qt.qt_viewer import QtViewer  # noqa: TID251
        from napari._vispy.utils.gl import get_gl_extensions  # noqa: TID251
        from napari.settings import get_settings  # noqa: TID251

        from napari_sam3.plugin.controllers.stand_in_mark import text_overlay

        assert not QtViewer._instances, "a test has left a viewer open"
        self._patches = _enter_test_application()
        get_settings().reset()
        self.viewer = _make_viewer()
        self.viewer._layer_slicer._executor.submit(int).result()  # begins its only thread
        overlay = text_overlay(self.viewer)
        overlay.visible = True  # napari makes what draws it when it is first shown
        overlay.visible = False
        get_gl_extensions()  # can't be asked for when another window was closed; it is remembered
        _process_events()
        self._model_new = model_state(self.viewer)
        _put_back(self.viewer, look_at(self.viewer), self._model_new)
        self._seen_new = look_at(self.viewer)
        # all that is there now stays: collecting a test's garbage takes a tenth of the time so
        gc.freeze()
        self._patches.callback(gc.unfreeze)

    def _close_others(self) -> None:
        others, self._others = self._others, []
        for viewer in others:
            _close_viewer(viewer)

    def _find_left(self) -> list[str]:
        _wait_for_threads(self._seen_new["threads"])
        seen = look_at(self.viewer)
        for name in ("threads", "workers"):  # that one of before has ended is no matter
            seen[name] |= self._seen_new[name]
        return [
            f"{name}: {_difference(self._seen_new[name], seen[name])}"
            for name in seen
            if seen[name] != self._seen_new[name]
        ]


def _make_viewer() -> Any:
    from napari import Viewer  # noqa: TID251

    return Viewer(show=False, show_welcome_screen=False)


def _make_current(viewer: Any, is_current: bool) -> None:
    """Let it be the one that is found by those who ask napari for it, or none."""
    from napari._qt.qt_main_window import _QtMainWindow  # noqa: TID251

    windows, window = _QtMainWindow._instances, getattr(viewer.window, "_qt_window", None)
    if is_current and window is not None and window not in windows:
        windows.append(window)
    elif not is_current and window in windows:
        windows.remove(window)


def _close_viewer(viewer: Any) -> None:
    from napari.settings import get_settings  # noqa: TID251

    get_settings().reset()
    if hasattr(viewer.window, "_qt_window"):  # the test has not closed it
        with patch.object(viewer.window._qt_window, "_save_current_window_settings"):
            viewer.close()


def _wait_for_threads(before: set[threading.Thread]) -> None:
    """Let those come to their end that were told to."""
    from superqt.utils._qthreading import WorkerBase  # noqa: TID251

    ends = time.monotonic() + THREADS_MAY_TAKE
    while time.monotonic() < ends:
        if not WorkerBase._worker_set and _threads() <= before:
            return
        _process_events()
        time.sleep(0.01)


def _enter_test_application() -> ExitStack:
    """What napari's own fixtures put in place for a viewer of a test; closed after it."""
    from napari._app_model._app import NapariApplication, _napari_names  # noqa: TID251
    from napari._qt._qapp_model.qactions import init_qactions  # noqa: TID251
    from napari._qt.qt_viewer import QtViewer  # noqa: TID251
    from napari._qt.threads.status_checker import StatusChecker  # noqa: TID251
    from napari._vispy import canvas  # noqa: TID251
    from napari.plugins import _initialize_plugins  # noqa: TID251
    from napari.settings import NapariSettings  # noqa: TID251
    from napari.utils.events import EventEmitter  # noqa: TID251
    from qtpy.QtWidgets import QWidget  # noqa: TID251
    from vispy.gloo import Program

    def make_console(_viewer: Any) -> QWidget:
        console = QWidget()
        console._update_theme = lambda *_: None
        return console

    patches = ExitStack()
    application = NapariApplication("test_app")
    patches.callback(NapariApplication.destroy, "test_app")
    application.injection_store.namespace = _napari_names
    for cached in (_initialize_plugins, init_qactions):
        cached.cache_clear()
        patches.callback(cached.cache_clear)
    patches.enter_context(
        patch.object(NapariApplication, "get_app_model", return_value=application)
    )
    patches.enter_context(patch.object(StatusChecker, "start", lambda *_: None))
    patches.enter_context(patch.object(QtViewer, "_get_console", make_console))
    # each reset would write a file, and a person's own settings are none of ours
    patches.enter_context(patch.object(NapariSettings, "save", lambda *_, **__: None))
    check = remembering_signatures(EventEmitter._check_signature)
    patches.enter_context(patch.object(EventEmitter, "_check_signature", staticmethod(check)))
    parse = remembering_variables(Program._parse_variables_from_code)
    patches.enter_context(patch.object(Program, "_parse_variables_from_code", parse))
    # napari collects garbage with every layer that goes; here that is done once, after each test
    patches.enter_context(patch.object(canvas, "gc", Mock(), create=True))
    return patches


def remembering_signatures(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The same answers as napari's own check of a callback, which inspects it each time.

    A layer connects and takes off hundreds of callbacks, again and again the same functions.
    """

    def check_once(callback: Any) -> bool:
        function = getattr(callback, "__func__", callback)
        if type(function) is not FunctionType or function.__dict__:
            return check(callback)  # its signature may be another than its code's
        n_defaults = len(function.__defaults__ or ())
        key = function.__code__, function is callback, n_defaults
        if key not in _SIGNATURES:
            _SIGNATURES[key] = check(callback)
        return _SIGNATURES[key]

    return check_once


def remembering_variables(parse: Callable[..., None]) -> Callable[..., None]:
    """The same variables as vispy finds in a program's code, looked for once in the same code.

    Every layer has some ten programs, of the same code as the layer of the test before.
    """

    def parse_once(program: Any, update_variables: bool = True) -> None:
        code = tuple(shader.code for shader in program._shaders)
        if code not in _VARIABLES:
            parse(program, update_variables=False)
            _VARIABLES[code] = program._code_variables
        program._code_variables = _VARIABLES[code].copy()
        if update_variables:
            program._process_pending_variables()

    return parse_once


# ------------------------------------------------------------------ what is put back


def _put_back(viewer: Any, seen_new: dict[str, Any], model_new: dict[str, Any]) -> None:
    from napari._qt.dialogs.qt_notification import NapariQtNotification  # noqa: TID251
    from napari.settings import get_settings  # noqa: TID251
    from napari.utils import progress  # noqa: TID251
    from napari.utils.notifications import notification_manager  # noqa: TID251

    window = viewer.window._qt_window
    viewer.window._qt_viewer.dims.stop()
    viewer.layers.clear()
    for name, dock in list(viewer.window._wrapped_dock_widgets.items()):
        if name not in seen_new["docks"]:
            inner = dock.widget()
            viewer.window.remove_dock_widget(dock)
            if inner is not None:
                inner.deleteLater()
    viewer.window._unnamed_dockwidget_count = 1
    for note in window.findChildren(NapariQtNotification):
        note.close()
    notification_manager.records.clear()
    for bar in list(progress._all_instances):
        bar.close()
    window._activity_dialog.hide()
    if window.isFullScreen():
        window.showNormal()
    window.hide()
    for bindings in _keymaps(viewer).values():
        bindings.clear()
    for owner, keymap in seen_new["keys"].items():
        _keymaps(viewer)[owner].update(keymap)
    get_settings().reset()
    _set_state(viewer, model_new)
    _process_events()
    gc.collect()
    # what came of events that were still under way
    _set_state(viewer, model_new)


def _set_state(model: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        if isinstance(value, dict):
            _set_state(getattr(model, name), value)
        elif name.endswith("_callbacks"):
            getattr(model, name)[:] = value
        elif _plain(getattr(model, name)) != _plain(value):
            setattr(model, name, value)


def _process_events() -> None:
    """Let Qt do what is waiting, and delete what it was told to delete."""
    from qtpy.QtCore import QCoreApplication, QEvent  # noqa: TID251

    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QCoreApplication.processEvents()


# ---------------------------------------------------------------------- what is seen


def look_at(viewer: Any) -> dict[str, Any]:
    """All that a test may change and the next one may notice, by name."""
    from napari._qt.qt_main_window import _QtMainWindow  # noqa: TID251
    from napari._qt.qt_viewer import QtViewer  # noqa: TID251
    from napari.settings import get_settings  # noqa: TID251
    from napari.utils import progress  # noqa: TID251
    from napari.utils.notifications import notification_manager  # noqa: TID251
    from qtpy.QtCore import QObject  # noqa: TID251
    from qtpy.QtWidgets import QApplication  # noqa: TID251
    from superqt.utils._qthreading import WorkerBase  # noqa: TID251

    window, qt_viewer = viewer.window._qt_window, viewer.window._qt_viewer
    return {
        "layers": [layer.name for layer in viewer.layers],
        "selection": (list(viewer.layers.selection), viewer.layers.selection.active),
        "state": _plain(model_state(viewer)),
        "listeners": Counter(listeners(viewer)),
        "keys": {owner: dict(keymap) for owner, keymap in _keymaps(viewer).items()},
        "docks": set(viewer.window._wrapped_dock_widgets),
        "title": window.windowTitle(),
        "is shown": window.isVisible(),
        "status": window.statusBar().currentMessage(),
        "objects of the window": Counter(type(o).__name__ for o in window.findChildren(QObject)),
        "windows": Counter(type(w).__name__ for w in QApplication.topLevelWidgets()),
        "viewers": (len(_QtMainWindow._instances), len(QtViewer._instances)),
        "pictures": (len(qt_viewer.canvas.layer_to_visual), _nodes(qt_viewer.canvas.view.scene)),
        "notifications": [str(note) for note in notification_manager.records],
        "progress": [bar.desc for bar in progress._all_instances],
        "settings": get_settings().model_dump(mode="json"),
        "workers": set(WorkerBase._worker_set),
        "threads": _threads(),
    }


def model_state(model: Any) -> dict[str, Any]:
    """The fields of a model and of the models in it, but for layers; lists copied."""
    state = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name == "layers":
            continue
        if hasattr(value, "events") and hasattr(type(value), "model_fields"):
            state[name] = model_state(value)
        else:
            state[name] = list(value) if name.endswith("_callbacks") else value
    return state


def listeners(viewer: Any) -> Iterator[str]:
    """Who is told of what: an entry for every living callback of the viewer.

    Of napari's settings and notifications, those of the plugin only.
    """
    from napari.settings import get_settings  # noqa: TID251
    from napari.utils.notifications import notification_manager  # noqa: TID251

    for name, group in _event_groups(viewer, "viewer").items():
        for event, emitter in group.emitters.items():
            yield from (f"{name}.{event} -> {told}" for told, _ in _callbacks(emitter))
    others = {
        f"{name}.{event}": emitter
        for name, group in _event_groups(get_settings(), "settings").items()
        for event, emitter in group.emitters.items()
    }
    others["notification_ready"] = notification_manager.notification_ready
    for name, emitter in others.items():
        # sliders and layer controls of napari stay connected; fixtures listen to notifications
        yield from (
            f"{name} -> {told}"
            for told, module in _callbacks(emitter)
            if module.startswith("napari_sam3.")
        )


def _event_groups(model: Any, path: str) -> dict[str, Any]:
    groups = {path: model.events}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name == "layers":
            groups.update(layers=value.events, selection=value.selection.events)
        elif hasattr(value, "events") and hasattr(type(value), "model_fields"):
            groups.update(_event_groups(value, f"{path}.{name}"))
    return groups


def _callbacks(emitter: Any) -> Iterator[tuple[str, str]]:
    """The names of living callbacks, and their modules."""
    for callback in emitter.callbacks:
        if isinstance(callback, tuple):  # a method, by a weak reference to its object
            owner = callback[0]()
            if owner is not None:
                yield f"{type(owner).__name__}.{callback[1]}", type(owner).__module__
        else:
            name = getattr(callback, "__qualname__", repr(callback))
            yield name, getattr(callback, "__module__", "")


def _keymaps(viewer: Any) -> dict[str, Any]:
    from napari import layers  # noqa: TID251

    names = ("Image", "Labels", "Points", "Shapes", "Tracks")
    kinds = [*(getattr(layers, name) for name in names), type(viewer)]
    found = {f"every {kind.__name__}": kind.class_keymap for kind in kinds}
    return {**found, "viewer": viewer.keymap}


def _threads() -> set[threading.Thread]:
    # Python's stand-ins for Qt's threads stay: Qt keeps them in its pool
    return {
        thread
        for thread in threading.enumerate()
        if not isinstance(thread, threading._DummyThread)
        and not any(
            name in f"{type(thread).__module__} {thread.name}" for name in THREADS_OF_OTHERS
        )
    }


def _nodes(node: Any) -> int:
    return 1 + sum(_nodes(child) for child in node.children)


def _plain(value: Any) -> Any:
    """The same of types that compare by value."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, (Counter, set)):
        return f"gone {before - after}, come {after - before}"
    if isinstance(before, dict):
        return ", ".join(
            f"{key} ({_difference(before.get(key), after.get(key))})"
            for key in {**before, **after}
            if before.get(key) != after.get(key)
        )
    return f"{before!r} became {after!r}"
