"""Does no input make an ill answer? A short run of what scripts/fuzz does for an hour."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import fixture_root
from orchestr8_index.methods import METHODS
from orchestr8_index.serve.state import State

from . import fuzzing
from .serve.asking import reply, settings_of, state_of
from .serve.lines import served

SEED = 20_250
NAMES = sorted({field for method in METHODS.values() for field in method.params.__struct_fields__})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@pytest.fixture(scope="module")
def module_state(tmp_path_factory: pytest.TempPathFactory, shipped_index: Index) -> State:
    data_dir = tmp_path_factory.mktemp("data")
    return state_of(settings_of(data_dir, fixture_root(), watch=False), shipped_index)


def test_bent_bodies_have_good_answers(tmp_path: Path) -> None:
    tally = fuzzing.bodies_of(tmp_path, 4000, SEED)
    assert (tally.tried, tally.findings) == (4000, [])
    assert {"200", "400", "404", "413", "415", "421"} <= set(tally.answers)


def test_bent_files_have_a_report(tmp_path: Path) -> None:
    tally = fuzzing.read_files(1000, SEED, built_every=1000)
    assert (tally.tried, tally.findings) == (1000, [])
    assert {"indexed", "repaired", "skipped"} == set(tally.answers)


def test_bent_bytes_harm_no_server(module_state: State) -> None:
    with served(module_state) as port:
        tally = fuzzing.send_raw(port, 150, SEED)
    assert (tally.tried, tally.findings) == (150, [])


@given(name=st.sampled_from(sorted(METHODS)), params=st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_params_have_a_good_answer(
    module_state: State,
    name: str,
    params: dict[str, Any],
) -> None:
    answer = reply(module_state, {"jsonrpc": "2.0", "id": 1, "method": name, "params": params})
    assert fuzzing.illness("/", "POST", answer.status, answer.body) == ""


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 200),
        (b"[1", 200),
        (b'{"jsonrpc":"2.0","id":1}', 200),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603}}', 500),
        (b'{"jsonrpc":"2.0","id":1,"result":"Traceback (most recent"}', 200),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-1}}', 503),
    ],
)
def test_an_ill_answer_is_told_from_a_good_one(answer: bytes, status: int) -> None:
    assert fuzzing.illness("/", "POST", status, answer)


def test_a_seed_gives_the_same_inputs() -> None:
    bodies = fuzzing.corpus("bodies")
    first, second = (
        [fuzzing.bent_body(random.Random(SEED), bodies) for _ in range(50)] for _ in range(2)
    )
    assert first == second
