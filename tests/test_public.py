"""What the package offers: its public names, and modules that load wherever Python runs."""

from __future__ import annotations

import subprocess
import sys
import typing
from pathlib import Path
from typing import assert_type

import msgspec
import pytest

import orchestr8_index
from orchestr8_index import errors, queries
from orchestr8_index.methods import METHODS

from .source import modules

NAMES = set(dir(orchestr8_index))
PINNED = """
__version__ AsyncOrchestrator Held MCPGatewayClient Orchestrator
AgentAnswer AgentRow Answer Context ContextAnswer EntryAnswer Excerpt HealthAnswer Reasoned Row
SkillAnswer Standing TermPoints TokenReceipt WorkflowAnswer
EntryChange Forgotten OutcomeAnswer PatternAnswer PatternChange PatternRecord PatternStored Receipt
AlreadyRunning BadSetting BodyTooLarge BuildFailed EncodingRefused Forbidden ForeignOrigin
ForeignSession HeadTooLarge InternalError InvalidParams InvalidRequest McpAway MethodNotFound
Misdirected NoSuchAddress NotOurs NotSafe OperationError Orchestr8Error OutcomeNotKept Overloaded
ParseError PortTaken Refused RequestError ServerAway SnapshotUnreadable StartFailed Starting
StoreTooNew StoreUnavailable TooManyRequests TooSlow Unauthorized VerbRefused
Busy Compacted Conflict MCPGatewayError NoSuchProject NoSuchSession StaleToken WithFacts
WouldDeadlock
"""
MASKED = """
import builtins, importlib, sys
lacking, names = sys.argv[1].split(), sys.argv[2].split()
real = builtins.__import__

def masked(name, globals=None, *rest):
    asks = (globals or {}).get("__name__", "")
    if name in lacking and asks.startswith("orchestr8_index"):
        raise ImportError(f"{asks} needs {name}")
    return real(name, globals, *rest)

builtins.__import__ = masked
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("sklearn", "scipy"):  # for the scripts that train what ships
            raise
"""


def test_every_public_name_can_be_imported() -> None:
    for name in NAMES:
        assert getattr(orchestr8_index, name)


def test_the_public_names_are_these() -> None:
    assert NAMES == set(PINNED.split()) == set(getattr(orchestr8_index, "__all__"))  # noqa: B009
    assert "AgentQuery" not in NAMES and "Struct" not in NAMES


def test_a_type_checker_knows_the_public_names() -> None:
    """`scripts/lint` checks these lines; the names come by star imports."""
    assert (Path(orchestr8_index.__file__).parent / "py.typed").exists()
    assert_type(orchestr8_index.InvalidParams({}).problems, dict[str, str])
    assert_type(orchestr8_index.PatternStored(pattern_id=1, created=True).pattern_id, int)


def test_an_error_is_the_one_that_the_client_raises() -> None:
    assert orchestr8_index.InvalidParams is errors.InvalidParams
    assert issubclass(orchestr8_index.ServerAway, orchestr8_index.Orchestr8Error)


def test_every_error_of_an_answer_is_public() -> None:
    assert {kind.__name__ for kind in errors.RequestError.__subclasses__()} - NAMES == set()


def test_every_answer_of_a_client_is_public() -> None:
    results = [method.result for method in METHODS.values() if method.face != "page"]
    found = {part.__name__ for result in results for part in parts_of(result)}
    assert {"AgentAnswer", "PatternAnswer", "OutcomeAnswer"} <= found
    assert found - NAMES == set()
    rows = typing.get_type_hints(queries.AgentAnswer)["agents"]
    assert {part.__name__ for part in parts_of(rows)} == {"AgentRow"}


def parts_of(hint: object) -> set[type]:
    """The structs that a type is made of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {hint}
    return {each for part in typing.get_args(hint) for each in parts_of(part)}


def test_nothing_else_is_public() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Conductor'"):
        _ = orchestr8_index.Conductor


def test_an_error_is_imported_without_the_client() -> None:
    code = "from orchestr8_index import ServerAway; import sys; assert 'msgspec' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_is_imported_where_the_system_lacks_some_of_pythons() -> None:
    """Windows has none of these; what other packages do there is their own affair."""
    lacking = "fcntl pwd grp resource termios uvloop"
    names = " ".join(name for name in modules() if not name.endswith("__main__"))
    command = [sys.executable, "-c", MASKED, lacking, names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
