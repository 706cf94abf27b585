"""Does a call leave one span, with what it needs and no question's text?"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from orchestr8_index.errors import BadSetting
from orchestr8_index.serve.state import State
from orchestr8_index.serve.trace import Trace, make_trace

from .asking import call


@pytest.fixture
def spans(state: State) -> Any:
    """What was exported, of a state whose calls are traced."""
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter = memory.InMemorySpanExporter()
    state.trace = Trace(exporter, batched=False)
    return exporter.get_finished_spans


def test_each_call_is_one_span_with_its_method(state: State, spans: Any) -> None:
    call(state, "querySkills", context="release notes")
    (span,) = spans()
    assert span.name == span.attributes["rpc.method"] == "querySkills"
    assert span.end_time >= span.start_time
    assert "release notes" not in span.to_json()


def test_an_answer_from_the_cache_says_so(state: State, spans: Any) -> None:
    for _ in range(2):
        call(state, "querySkills", context="release notes")
    call(state, "getHealth")
    assert [span.attributes["orchestr8.cache_hit"] for span in spans()] == [False, True, False]


def test_an_error_is_told_by_its_code(state: State, spans: Any) -> None:
    call(state, "querySkills", limit=3)
    (span,) = spans()
    assert span.attributes["rpc.jsonrpc.error_code"] == -32602
    assert span.status.status_code.name == "ERROR"


def test_a_method_that_does_not_exist_is_not_named(state: State, spans: Any) -> None:
    call(state, "whatever the caller wrote")
    assert [span.name for span in spans()] == ["unknown"]


def test_without_an_endpoint_there_is_no_trace() -> None:
    assert make_trace("") is None


def test_without_the_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(BadSetting, match=r"pip install opentelemetry-sdk"):
        make_trace("http://localhost:4318")
