"""What is counted in the package's source, and how much of it there may be."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator

from ..source import NAME, PACKAGE, base_of, imports, modules

LATER = {"coordinate", "faces", "page", "team"}  # these rooms come with numbers of their own

MOST = {
    "lines": 39_887,  # hosts, languages, plans, guards, lenders, usage; 11 MB of MCP's SDK left out
    "files": 236,  # the same
    "longest_file": 400,  # errors.py: every error, drawn once
    "longest_function": 40,  # the goal
    "names_of_two_classes": 0,  # the goal
    "broad_excepts": 11,  # most guard loops, faces and a thread; others clean up and raise again
    "import_circles": 0,  # the goal
    "undocumented": 0,
}
"""How much of each there may be. Who raises a number says why beside it."""
OF_LATER = {
    "coordinate": (4_359, 26),  # the gate's forms of git and the shell, bounds on what all costs
    "team": (3_006, 20),  # PostgreSQL, moving there and back, Redis, NATS, lag, usage, snapshots
}
"""The same for two of the later rooms: lines and files; tests of `faces` and `page` have theirs."""

Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def lines() -> int:
    return sum(map(_lines_of, _files()))


def files() -> int:
    return len(_files())


def size_of(room: str) -> tuple[int, int]:
    """Lines and files."""
    texts = [path.read_text("utf-8") for path in (PACKAGE / room).rglob("*.py")]
    return sum(map(_lines_of, texts)), len(texts)


def longest_file() -> int:
    return max(map(_lines_of, _files()))


def longest_function() -> int:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return max(
        (node.end_lineno or 0) - node.lineno + 1
        for _, node in _nodes()
        if isinstance(node, functions)
    )


def names_of_two_classes() -> list[str]:
    classes = {(module, node.name) for module, node in _nodes() if isinstance(node, ast.ClassDef)}
    counted = Counter(name.lstrip("_") for _, name in classes)
    return sorted(name for name, count in counted.items() if count > 1)


def broad_excepts() -> list[str]:
    """Places that catch every exception."""
    broad = {"Exception", "BaseException"}
    return [
        f"{module}:{node.lineno}"
        for module, node in _nodes()
        if isinstance(node, ast.ExceptHandler) and not broad.isdisjoint(_caught(node))
    ]


def _caught(node: ast.ExceptHandler) -> list[str]:
    return ast.unparse(node.type).strip("()").split(", ") if node.type else ["BaseException"]


def import_circles() -> list[set[str]]:
    """Modules that import each other, over whatever way; imports for types count, too.

    The package itself does not: it has the version, and the public names by their names.
    """
    graph: dict[str, set[str]] = defaultdict(set)
    for each in imports():
        if each.target in modules() and NAME not in (each.source, each.target):
            graph[each.source].add(each.target)
    reach = {name: _reachable(graph, name) for name in graph}
    circles = {
        frozenset(other for other in reach[name] if name in reach.get(other, set()))
        for name in graph
        if name in reach[name]
    }
    return [set(circle) for circle in circles]


def undocumented() -> list[str]:
    """Public functions and classes that another module imports, and that have no docstring."""
    wanted = {pair for module, tree in modules().items() for pair in _named(module, tree)}
    return sorted(
        f"{module}.{node.name}"
        for module, tree in modules().items()
        for node in tree.body
        if isinstance(node, Node) and (module, node.name) in wanted
        if not node.name.startswith("_") and not _documented(node)
    )


def _documented(node: Node) -> bool:
    """By a docstring, or an error by what it `means`, from which docs/errors.md is made."""
    means = [each for each in node.body if ast.unparse(each).startswith("means = ")]
    return bool(ast.get_docstring(node) or means)


def _named(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a module imports by name: (the other module, the name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((base_of(module, node), alias.name) for alias in node.names)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = graph.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _files() -> list[str]:
    paths = {path.relative_to(PACKAGE): path for path in PACKAGE.rglob("*.py")}
    return [path.read_text("utf-8") for name, path in paths.items() if name.parts[0] not in LATER]


def _lines_of(text: str) -> int:
    return len(text.splitlines())


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    return ((module, node) for module, tree in modules().items() for node in ast.walk(tree))
