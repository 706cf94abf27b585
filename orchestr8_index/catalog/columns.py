"""How does an array grow beyond memory? A column takes arrays and gives them back by stretches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

IN_MEMORY = 4_000_000  # bytes of a column
PART = 1 << 20

Array = np.ndarray[Any, np.dtype[Any]]


class GrowingColumn:
    """Items of one type; what does not fit in memory lies in a file without a name."""

    def __init__(self, folder: Path, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(folder))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, items: Array) -> None:
        self._file.write(np.ascontiguousarray(items, self.dtype).data)
        self._size += len(items)

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        stop = self._size if stop is None else stop
        self._file.seek(start * self.dtype.itemsize)
        data = self._file.read((stop - start) * self.dtype.itemsize)
        self._file.seek(0, 2)
        return np.frombuffer(data, self.dtype)

    def parts(self) -> Iterator[bytes]:
        self._file.seek(0)
        while part := self._file.read(PART):
            yield part

    def __del__(self) -> None:
        self._file.close()
