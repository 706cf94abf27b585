"""Finds the line on which YAML is broken, which YAML itself often reports lines later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import yaml

_OPENED = (
    "found unexpected end of stream",  # a quote
    "could not find expected ':'",  # a line that is no field
    "did not find expected ',' or",  # a bracket
    "expected ',' or",  # the same without the C library
)


def describe(error: yaml.YAMLError, text: str) -> tuple[str, int | None]:
    """What is wrong, and on which of the text's lines, counted from 0.

    Something that is not closed is reported where it begins. YAML counts U+2028 as a line's end,
    too; editors do not.
    """
    problem = str(getattr(error, "problem", None) or str(error).split("\n")[0])
    mark = getattr(error, "problem_mark", None)
    if problem.startswith(_OPENED):
        mark = getattr(error, "context_mark", None) or mark
    return problem, text.count("\n", 0, mark.index) if mark else None


def blame(
    error: yaml.YAMLError, block: str, keys: list[int], compose: Callable[[str], yaml.Node | None]
) -> tuple[str, int | None]:
    """As `describe`, but for the first field that cannot be read alone, up to where YAML stopped.

    A quote that is not closed swallows lines until the next quote, and YAML blames that one. `keys`
    are the lines on which fields begin.
    """
    problem, line = describe(error, block)
    if isinstance(error, yaml.composer.ComposerError):
        return problem, line  # an alias without its anchor is always an error
    for start, field in _fields(block, keys):
        if line is not None and start > line:
            break
        if found := _broken(field, compose):
            return found[0] or problem, start + found[1]
    return problem, line


def _fields(block: str, keys: list[int]) -> Iterator[tuple[int, str]]:
    """(line, text) of each field, and of the text before the first one."""
    lines = block.split("\n")
    starts = sorted({0, *keys})
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "\n".join(lines[start:end])


def _broken(field: str, compose: Callable[[str], yaml.Node | None]) -> tuple[str, int] | None:
    """(what, line) where the field cannot be read; what is "" for a text that is no field."""
    try:
        node = compose(field)
    except yaml.composer.ComposerError:
        return None
    except yaml.YAMLError as error:
        problem, line = describe(error, field)
        return problem, line or 0
    return ("", 0) if isinstance(node, yaml.ScalarNode) else None
