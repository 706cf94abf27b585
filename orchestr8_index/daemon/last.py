"""Which trees did the last server serve? Remembered beside its lock, for who comes after it."""

from __future__ import annotations

import contextlib
import json
import os

from ..config import Settings

NAME = "roots.json"


def remember(settings: Settings) -> None:
    """Written whole or not at all; a disk that refuses it is no reason not to serve."""
    path = settings.data_dir / NAME
    half = path.with_name(f".{NAME}.{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"roots": settings.roots}, file)
            os.replace(half, path)
        finally:
            half.unlink(missing_ok=True)


def last_roots(settings: Settings) -> list[str]:
    """The roots that still are folders; [] where nothing, or nothing usable, is remembered."""
    try:
        roots = json.loads((settings.data_dir / NAME).read_bytes())["roots"]
        return [root for root in roots if os.path.isdir(root)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
