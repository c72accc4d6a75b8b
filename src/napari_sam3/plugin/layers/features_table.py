"""What is known of objects, in a Labels layer: its metadata and its table of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import pandas as pd
from napari.layers import Labels

from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.labels.objects import ObjectTable

OBJECTS = "objects"
"""Where a layer's metadata has its `ObjectTable`."""

COLUMNS = ("index", "id", "name", "class", "score", "mother")


def table_of(layer: Labels) -> ObjectTable:
    """What is known of a layer's objects; a new table is put into it where there is none."""
    table = layer.metadata.get(OBJECTS)
    if not isinstance(table, ObjectTable):
        table = read_features(layer.features)
        layer.metadata[OBJECTS] = table
    return table


def known_objects(attributes: Mapping[str, Any]) -> ObjectTable:
    """What layer data know of their objects, as a table of its own.

    Names and classes that are in the features alone, of a layer of a person's own, count too.
    """
    said = read_features(attributes.get("features"))
    table = (attributes.get("metadata") or {}).get(OBJECTS)
    if not isinstance(table, ObjectTable):
        return said
    table = table.copy()
    for info in said:
        known = table[info.obj_id]
        name, class_name = known.name or info.name, known.class_name or info.class_name
        table.set(replace(known, name=name, class_name=class_name))
    return table


def make_features(
    ids: Iterable[int], objects: ObjectTable, scores: Mapping[int, float | None] | None = None
) -> pd.DataFrame:
    """The features of a layer that has these objects; what is not known is None.

    Parameters
    ----------
    ids : iterable of int
        Objects that are there; those that are known are added.
    objects : ObjectTable
        Names, classes and mothers.
    scores : mapping of id to float or None, optional
        Mean score of each, where there is one.

    Returns
    -------
    DataFrame
        `COLUMNS`, by rising id; first a row of the background, so that napari has nothing to say
        of it.
    """
    known = scores or {}
    rows: list[tuple[Any, ...]] = [(0, None, None, None, None, None)]
    for obj_id in sorted({*ids, *objects.ids}):
        info, score = objects[obj_id], known.get(obj_id)
        rounded = None if score is None else round(score, 4)
        name, class_name = info.name or None, info.class_name or None
        rows.append((obj_id, obj_id, name, class_name, rounded, info.mother))
    # objects, or an id that is missing would turn all of them into floating point
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.astype({"index": int})


def take_edits(objects: ObjectTable, features: pd.DataFrame) -> None:
    """Take over names and classes that a person has changed in the features of a layer."""
    said = read_features(features)
    for obj_id in (int(index) for index in features.get("index", ()) if _is_id(index)):
        info = objects[obj_id]
        if "name" in features:
            info = replace(info, name=said[obj_id].name)
        if "class" in features:
            info = replace(info, class_name=said[obj_id].class_name)
        objects.set(info)


def read_features(features: Any) -> ObjectTable:
    """Names and classes in features that have a column index; an empty table of others."""
    table = ObjectTable()
    if features is None or "index" not in features:
        return table
    nothing = [None] * len(features["index"])
    columns = (features["index"], features.get("name", nothing), features.get("class", nothing))
    for index, name, class_name in zip(*columns, strict=True):
        if _is_id(index):
            table.set(ObjectInfo(int(index), _text(name), _text(class_name)))
    return table


def _is_id(value: Any) -> bool:
    # a column with gaps has become floating point
    return isinstance(value, Real) and float(value) >= 1  # not so of NaN


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)
