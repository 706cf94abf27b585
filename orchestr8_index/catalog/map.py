"""A map of the entries by meaning: the first two principal components of their vectors.

The child computes it from the vectors in the written segments, so that it costs the server
nothing; `read_places` reads what a page shows.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..records import KINDS, Kind
from .sections import Sections
from .snapshot import SegmentInfo

NAME = "map"
SCALE = 32_000
SAMPLED = 4_000  # vectors from which the axes are taken
INNER = 0.99  # the share of entries within the map; the others lie on its edge


def write_map(folder: Path, segments: Mapping[Kind, SegmentInfo], dimensions: int) -> None:
    """Write a pair of 16-bit integers for each entry, kind after kind, by position."""
    import numpy as np

    found = b"".join(_vectors(folder, kind, segments[kind]) for kind in KINDS)
    rows = np.frombuffer(found, np.int8).reshape(-1, dimensions)
    points = np.zeros((len(rows), 2))
    if len(rows) > 2:
        mean, axes = _axes(rows[:: max(1, len(rows) // SAMPLED)].astype(np.float64))
        for start in range(0, len(rows), SAMPLED):  # all of them as floats would be large
            points[start : start + SAMPLED] = (rows[start : start + SAMPLED] - mean) @ axes
        reach = np.quantile(np.abs(points), INNER, axis=0)
        points = np.clip(points / np.maximum(reach, 1e-9), -1, 1)
    (folder / NAME).write_bytes(np.rint(points * SCALE).astype("<i2").tobytes())


def _vectors(folder: Path, kind: Kind, info: SegmentInfo) -> bytes:
    return Sections(folder / f"{kind}.segment", info.sections).read("vectors")


def _axes(sample: Any) -> tuple[Any, Any]:
    """The mean and the first two principal axes of the sample. The largest component of each is
    positive, so that a small change does not mirror the map."""
    import numpy as np

    _, every = np.linalg.eigh(np.cov(sample, rowvar=False))
    axes = every[:, [-1, -2]]
    return sample.mean(axis=0), axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])


def read_places(folder: Path, sizes: Sequence[int]) -> list[list[tuple[float, float]]]:
    """The places of the entries of each kind, from -1 to 1; empty lists without a map."""
    try:
        numbers = array("h", (folder / NAME).read_bytes())
    except (OSError, ValueError):
        numbers = array("h")
    if len(numbers) != 2 * sum(sizes):
        return [[] for _ in sizes]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    every = [(round(x / SCALE, 3), round(y / SCALE, 3)) for x, y in pairs]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [every[end - size : end] for size, end in zip(sizes, ends, strict=True)]
