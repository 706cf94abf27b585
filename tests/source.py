"""How do the tests read the package's source? Modules, and who imports whom, from the AST."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orchestr8_index

PACKAGE = Path(orchestr8_index.__file__).parent
NAME = PACKAGE.name


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name; a package goes by its folder's."""
    return {dotted(path): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class Import:
    """`lazy` stands in a function; `typing` is for the type checker only."""

    source: str
    target: str
    lazy: bool
    typing: bool


@cache
def imports() -> tuple[Import, ...]:
    """Everything that the package's modules import, its own modules by their dotted names."""
    return tuple(_imports())


def _imports() -> Iterator[Import]:
    for name, tree in modules().items():
        for node, lazy, typing in _statements(tree):
            for target in _targets(name, node):
                yield Import(name, target, lazy, typing)


def _statements(
    node: ast.AST, lazy: bool = False, typing: bool = False
) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, lazy, typing
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from _statements(child, lazy or inside, typing or checking)


def _targets(name: str, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        base = base_of(name, node)
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            yield whole if whole in modules() else base


def base_of(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    is_package = (PACKAGE.parent / Path(*name.split(".")) / "__init__.py").exists()
    parts = name.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def room(module: str) -> str:
    """`discover` for orchestr8_index.search.rank; the module's own name at the top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""
