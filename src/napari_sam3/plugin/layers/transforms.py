"""From one layer's coordinates to another's, by way of the world.

A layer's data coordinates are pixels (time counts as an axis in frames), the world's are what
scale, translate, rotate, shear, affine and units make of them. Layers of different ndim are
aligned at their last axes, as napari does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_sam3.values import FloatArray

# napari puts the centre of the first pixel at 0, the API at 0.5 (docs: contract, "Coordinates").
# The two functions below are the only place where the one becomes the other.
_PIXEL_CENTRE = 0.5


def api_points(points_yx: ArrayLike) -> FloatArray:
    """Turn napari's (row, column) into the API's pixels.

    Parameters
    ----------
    points_yx : (N, 2) array_like
        Data coordinates of an image layer; pixel centres are integers.

    Returns
    -------
    (N, 2) float64
        x, y; the centre of the first pixel is (0.5, 0.5).
    """
    points = np.asarray(points_yx, float).reshape(-1, 2)
    return points[:, ::-1] + _PIXEL_CENTRE


def napari_points(points_xy: ArrayLike) -> FloatArray:
    """Turn the API's pixels into napari's (row, column): the inverse of `api_points`.

    Parameters
    ----------
    points_xy : (N, 2) array_like
        x, y; the centre of the first pixel is (0.5, 0.5).

    Returns
    -------
    (N, 2) float64
        Data coordinates of an image layer; pixel centres are integers.
    """
    points = np.asarray(points_xy, float).reshape(-1, 2)
    return points[:, ::-1] - _PIXEL_CENTRE


def data_to_world_matrix(layer: Any) -> FloatArray:
    """All of a layer's transforms in one matrix, (ndim + 1, ndim + 1), for column vectors."""
    ndim = layer.ndim
    matrix = np.eye(ndim + 1)
    # the map is affine: where it takes 0 and the unit vectors says all, by public means alone
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)), float)
    for axis, unit_vector in enumerate(np.eye(ndim)):
        matrix[:ndim, axis] = np.asarray(layer.data_to_world(unit_vector), float) - origin
    matrix[:ndim, ndim] = origin
    return matrix


def map_points(
    source: Any, target: Any, points: ArrayLike, target_position: ArrayLike | None = None
) -> FloatArray:
    """Take points from the data coordinates of one layer to those of another.

    Parameters
    ----------
    source, target : napari layers
        Where the points are, and where they shall go.
    points : (N, source.ndim) array_like
        Data coordinates of `source`.
    target_position : (target.ndim,) array_like, optional
        Data coordinates of `target` that stand in for the leading axes that `source` does not
        have (a 2D layer says nothing of time). Default: 0.

    Returns
    -------
    (N, target.ndim) float64
        Data coordinates of `target`. Leading axes that only `source` has are left out.
    """
    given = np.asarray(points, float).reshape(-1, source.ndim)
    here, there = data_to_world_matrix(source), data_to_world_matrix(target)
    n_source, n_target = source.ndim, target.ndim
    shared = min(n_source, n_target)
    world = given @ here[:n_source, :n_source].T + here[:n_source, n_source]
    at = np.zeros(n_target) if target_position is None else np.asarray(target_position, float)
    placed = there[:n_target, :n_target] @ at + there[:n_target, n_target]
    full = np.tile(placed, (len(given), 1))
    full[:, n_target - shared :] = world[:, n_source - shared :] * _unit_factors(source, target)
    moved = full - there[:n_target, n_target]
    return np.asarray(np.linalg.solve(there[:n_target, :n_target], moved.T).T, np.float64)


def map_outlines(
    source: Any,
    target: Any,
    outlines: Sequence[ArrayLike],
    target_position: ArrayLike | None = None,
) -> list[FloatArray]:
    """Take many lists of points where `map_points` would take each; all at once."""
    given = [np.asarray(outline, float).reshape(-1, source.ndim) for outline in outlines]
    if not given:
        return []
    placed = map_points(source, target, np.concatenate(given), target_position)
    return np.split(placed, np.cumsum([len(outline) for outline in given])[:-1])


def world_to_indices(layer: Any, world_point: ArrayLike) -> tuple[int, ...]:
    """Tell which element of a layer's data a world position falls on, kept inside the data.

    Parameters
    ----------
    layer : napari Image or Labels layer
        Of the data.
    world_point : array_like
        Such as ``viewer.dims.point``; aligned at the last axes.
    """
    nearest = np.rint(layer.world_to_data(np.asarray(world_point, float)))
    last = np.asarray(layer_shape(layer)) - 1
    return tuple(int(i) for i in np.clip(nearest, 0, last))


def layer_shape(layer: Any) -> tuple[int, ...]:
    """Shape of a layer's data (level 0 where multiscale) without the colours of an rgb image."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(map(int, data.shape[: layer.ndim]))


def _unit_factors(source: Any, target: Any) -> FloatArray:
    """What to multiply the last, shared axes of source's world with, to be in target's units.

    As napari renders: units of one kind (ms, s) are converted; if any two are not of one kind
    (pixel, s), none is, and the numbers are taken as they are.
    """
    shared = min(source.ndim, target.ndim)
    pairs = list(zip(source.units[-shared:], target.units[-shared:], strict=True))
    if any(one.dimensionality != other.dimensionality for one, other in pairs):
        return np.ones(shared)
    return np.array([1.0 if a == b else float((1.0 * a).to(b).magnitude) for a, b in pairs])
