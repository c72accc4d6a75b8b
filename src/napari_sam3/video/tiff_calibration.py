"""How large a pixel is and how long a frame lasts, as the writers of TIFF files say it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import tifffile

FINEST_PRINT = 1200
"""Pixels an inch. A TIFF's own resolution up to this one is a printer's or a screen's, not a size
on the specimen: every program writes 72, 96 or 300 into pictures whose scale it does not know."""

_MICROMETRES = {"um", "µm", "μm", "micron", "microns", "micrometer", "micrometre", "\\u00b5m"}
# names by which units of length are known to napari, which asks pint
_LENGTHS = dict.fromkeys(_MICROMETRES, "um") | {
    "nm": "nm",
    "nanometer": "nm",
    "mm": "mm",
    "millimeter": "mm",
    "cm": "cm",
    "centimeter": "cm",
    "m": "m",
    "meter": "m",
    "inch": "inch",
    "in": "inch",
    "pm": "pm",
    "å": "angstrom",
}
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "µs": 1e-6,
    "us": 1e-6,
    "ns": 1e-9,
    "millisecond": 1e-3,
    "microsecond": 1e-6,
    "nanosecond": 1e-9,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}


@dataclass(frozen=True)
class Calibration:
    """What a file says of its scale.

    Attributes
    ----------
    step : float or None
        From frame to frame, s.
    pixel_size : (float, float) or None
        Height and width of a pixel, in `unit`.
    unit : str or None
        Of length, as pint and napari know it: "um", "nm", "mm", ...
    """

    step: float | None = None
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """`pixel_size` and `pixel_unit` for a video's metadata; nothing if they are unknown."""
        if self.pixel_size is None:
            return {}
        return {"pixel_size": self.pixel_size, "pixel_unit": self.unit}


def read_calibration(tiff: tifffile.TiffFile, scene: int = 0) -> Calibration:
    """Read a TIFF's scale: as OME-XML says it, else ImageJ, else the tags of the first page.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        Open; may raise what tifffile raises on a damaged file.
    scene : int
        Which image is meant, where OME-XML tells of several.

    Returns
    -------
    Calibration
        What is missing, not a positive number, or in no unit of length, is left out.
    """
    if tiff.is_ome and tiff.ome_metadata:
        return _read_ome(tiff.ome_metadata, scene)
    if tiff.is_imagej:
        return _read_imagej(tiff)
    return _read_tags(tiff)


def _read_ome(xml: str, scene: int) -> Calibration:
    """The Open Microscopy Environment's attributes of `Pixels` (schema 2016-06)."""
    try:
        images = ElementTree.fromstring(xml).findall(".//{*}Pixels")
    except ElementTree.ParseError:
        return Calibration()
    if scene >= len(images):
        return Calibration()
    pixels = images[scene]
    step = _positive(pixels.get("TimeIncrement"))
    second = _SECONDS.get(pixels.get("TimeIncrementUnit", "s"))
    height, width = (_positive(pixels.get(f"PhysicalSize{axis}")) for axis in "YX")
    units = [_length(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"]
    sized = height and width and units[0] and units[0] == units[1]
    return Calibration(
        step * second if step and second else None,
        (height, width) if sized and height and width else None,
        units[0] if sized else None,
    )


def _read_imagej(tiff: tifffile.TiffFile) -> Calibration:
    """ImageJ's description; the tags of the resolution count its `unit`, whatever else they say."""
    described = tiff.imagej_metadata or {}
    step = _positive(described.get("finterval"))
    rate = _positive(described.get("fps"))
    second = _SECONDS.get(str(described.get("tunit") or "s").strip().casefold())
    if step is None and rate is not None:
        step, second = 1 / rate, 1.0
    step = step * second if step and second else None
    unit = _length(described.get("unit"))
    size = _pixel_size(tiff)
    return Calibration(step, size, unit) if unit and size else Calibration(step)


def _read_tags(tiff: tifffile.TiffFile) -> Calibration:
    """The baseline tags of TIFF 6.0, where they are as fine as a microscope's."""
    unit = {tifffile.RESUNIT.INCH: "inch", tifffile.RESUNIT.CENTIMETER: "cm"}.get(
        tifffile.RESUNIT(tiff.pages.first.resolutionunit)
    )
    size = _pixel_size(tiff)
    if unit is None or size is None:
        return Calibration()
    inches = max(size) / (2.54 if unit == "cm" else 1)
    if inches * FINEST_PRINT > 0.999:
        return Calibration()
    # micrometres are what such pixels are counted in
    scale = 25_400.0 if unit == "inch" else 10_000.0
    return Calibration(None, (size[0] * scale, size[1] * scale), "um")


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Height and width of a pixel in the unit of the first page's resolution."""
    tags = tiff.pages.first.tags
    sizes = []
    for name in ("YResolution", "XResolution"):
        value = tags[name].value if name in tags else None
        if not isinstance(value, tuple) or len(value) != 2 or not value[0]:
            return None
        sizes.append(_positive(value[1] / value[0]))
    height, width = sizes
    return (height, width) if height and width else None


def _length(name: Any) -> str | None:
    return _LENGTHS.get(str(name).strip().casefold()) if name else None


def length_unit(name: str) -> str | None:
    """A unit of length as napari knows it, by a name that programs write; None of others."""
    return _length(name)


def seconds_in(name: str) -> float | None:
    """How many seconds a unit of time has, by a name that programs write; None of others."""
    return _SECONDS.get(name.strip().casefold())


def _positive(value: Any) -> float | None:
    """A number from a description, if it can be a size or a time."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < math.inf else None
