"""Resources that can be locked: a name such as `port:3000`, or a file or folder."""

from __future__ import annotations

import os
import re

from ..errors import InvalidParams

MOST_BYTES = 1024
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]+:.+")


def resolve(text: str, tree: str) -> str:
    """A name as it is, or a path made absolute, with a slash at the end for a folder.

    Raises InvalidParams for what is neither.
    """
    if not text or len(text.encode("utf-8", "replace")) > MOST_BYTES or "\0" in text:
        raise _wrong(f"must have 1 to {MOST_BYTES} bytes and no zero byte")
    if _NAME.fullmatch(text):
        return text
    if not os.path.isabs(text) and not tree:
        raise _wrong(
            f"{text[:80]} is a path, and your working tree is not known: give an absolute path,"
            " or a name such as port:3000"
        )
    inside = os.path.normpath(os.path.join(tree, text))
    if not os.path.isabs(text) and not is_below(inside, tree):
        raise _wrong(f"{text[:80]} leaves the working tree: give an absolute path")
    return os.path.realpath(inside) + ("/" if text.endswith("/") and inside != "/" else "")


def is_below(path: str, tree: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == tree or path.startswith(tree.rstrip("/") + "/")


def is_path(resource: str) -> bool:
    """Whether a resolved resource is a file or folder."""
    return resource.startswith("/")


def overlaps(one: str, other: str) -> bool:
    """Whether both are the same, or one is a folder that contains the other."""
    if one == other or not (is_path(one) and is_path(other)):
        return one == other
    if one.rstrip("/") == other.rstrip("/"):
        return True
    return (one.endswith("/") and other.startswith(one)) or (
        other.endswith("/") and one.startswith(other)
    )


def same_and_above(resource: str) -> list[str]:
    """The resource as file and as folder, and every folder above it."""
    if not is_path(resource):
        return [resource]
    plain = resource.rstrip("/")
    parts = plain.split("/")
    return [plain, *("/".join(parts[:end]) + "/" for end in range(len(parts), 0, -1))]


def _wrong(why: str) -> InvalidParams:
    return InvalidParams({"resources": why})
