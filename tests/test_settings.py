"""Does one file alone read the environment?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import NAME, modules

READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def readers() -> Iterator[str]:
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in READERS:
                yield name
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                if READERS & {alias.name for alias in node.names}:
                    yield name


def test_only_the_configuration_reads_the_environment() -> None:
    assert set(readers()) == {f"{NAME}.environment"}


def test_logging_is_set_up_in_one_place() -> None:
    """Never by a constructor or an import."""
    changed = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"basicConfig", "addHandler"}
    }
    assert changed == set()
