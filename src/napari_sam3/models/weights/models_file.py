"""The file of models: those that a person has named, and the hub's last answers.

One small file, `models.json`, beside the settings. It holds names, folders and dates, no token:
of that only a fingerprint, so that an answer is not held for true under another account.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from napari_sam3.plain_files import read_json
from napari_sam3.settings import settings_path
from napari_sam3.whole_files import written_whole

_MOST_BYTES = 16 * 2**20
logger = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds to wait for another process


@dataclass(frozen=True)
class OwnModel:
    """A model that the person has named: a folder, or a repository of the hub.

    Attributes
    ----------
    folder : Path or None
        Where its files are; None: in the hub's cache.
    repo_id : str or None
        Its repository; None: a folder only.
    model_type : str
        The family, as read from its `config.json` when it was named.
    """

    folder: Path | None
    repo_id: str | None
    model_type: str


class Answer(NamedTuple):
    """What the hub said last of the access to a repository: value of a `State`, and ISO date."""

    state: str
    day: str


def models_path() -> Path:
    """The file that holds all this."""
    return settings_path().with_name("models.json")


def read_own_models() -> dict[str, OwnModel]:
    """The person's models, by name."""
    found = {}
    for name, said in _table("models").items():
        folder, repo_id, model_type = (said.get(k) for k in ("folder", "repo_id", "model_type"))
        if isinstance(model_type, str) and (isinstance(folder, str) or isinstance(repo_id, str)):
            found[name] = OwnModel(
                Path(folder) if isinstance(folder, str) else None,
                repo_id if isinstance(repo_id, str) else None,
                model_type,
            )
    return found


def write_own_model(name: str, model: OwnModel) -> None:
    """Keep a model under a name; an older one of that name is replaced.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    said = {key: str(value) for key, value in asdict(model).items() if value is not None}
    _change("models", name, said)


def delete_own_model(name: str) -> bool:
    """Forget a name; the files stay. Says whether it was known. Raises OSError as above."""
    if name not in _table("models"):
        return False
    _change("models", name, None)
    return True


def read_answer(repo_id: str, account: str) -> Answer | None:
    """What the hub said last to this account; None if it was never asked."""
    said = _table("answers").get(repo_id, {})
    if said.get("account") != account:
        return None
    return Answer(str(said.get("state")), str(said.get("day")))


def write_answer(repo_id: str, state: str, account: str) -> None:
    """Keep what the hub said today, if it can be kept."""
    said = {"state": state, "day": date.today().isoformat(), "account": account}
    try:
        _change("answers", repo_id, said)
    except OSError as exc:
        logger.warning("the hub's answer can't be kept in %s: %s", models_path(), exc)


def _read() -> dict[str, Any]:
    path = models_path()
    try:
        said = read_json(path.resolve(), most_bytes=_MOST_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        logger.warning("the models named in %s can't be read and are left out: %s", path, exc)
        return {}
    return said if isinstance(said, dict) else {}


def _table(kind: str) -> dict[str, dict[str, Any]]:
    return _lines(_read(), kind)


def _lines(read: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    table = read.get(kind)
    if not isinstance(table, dict):
        return {}
    return {name: said for name, said in table.items() if isinstance(said, dict)}


def _change(kind: str, name: str, said: dict[str, str] | None) -> None:
    """Put one line into the file, or take it out; a file that can't be read is put aside."""
    from filelock import FileLock

    path = models_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    # other threads and windows may change it, or read it, just now
    with FileLock(path.with_suffix(".lock"), timeout=_PATIENCE):
        before = _read()
        if not before and path.is_file():
            shutil.copy(path, path.with_suffix(".damaged"))
        table = _lines(before, kind)
        if said is None:
            table.pop(name, None)
        else:
            table[name] = said
        with written_whole(path) as part:
            part.write_text(json.dumps({**before, kind: table}, indent=1), encoding="utf-8")
