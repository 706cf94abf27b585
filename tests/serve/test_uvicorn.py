"""What serve/protocol.py and serve/server.py rely on in uvicorn beyond its public ways."""

from __future__ import annotations

import inspect
import re

import uvicorn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


def test_the_protocol_has_the_methods_that_are_extended() -> None:
    extended = (
        "connection_made connection_lost data_received on_message_begin on_header on_body "
        "on_headers_complete on_message_complete on_response_complete pause_writing "
        "resume_writing shutdown send_400_response"
    )
    assert set(extended.split()) <= set(vars(HttpToolsProtocol))


def test_the_protocol_has_the_state_that_is_read() -> None:
    source = inspect.getsource(HttpToolsProtocol)
    read = "loop transport flow scope headers url pipeline cycle tasks connections parser "
    read += "expect_100_continue timeout_keep_alive_task timeout_keep_alive server_state"
    assert all(f"self.{name}" in source for name in read.split())


def test_the_pipeline_keeps_what_waits_with_the_newest_first() -> None:
    assert "self.pipeline.appendleft((self.cycle, app))" in inspect.getsource(HttpToolsProtocol)


def test_a_connection_is_left_as_after_an_answer() -> None:
    """What `Wire._answer_at_once` does in the place of `on_response_complete`."""
    source = inspect.getsource(HttpToolsProtocol.on_response_complete)
    done = ("total_requests += 1", "_unset_keepalive_if_required()", "loop.call_later(")
    assert all(each in source for each in done)
    assert "self.server_state.default_headers" in inspect.getsource(HttpToolsProtocol)


def test_a_cycle_has_the_state_that_is_read_and_set() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    used = "scope disconnected keep_alive more_body message_event response_started"
    assert all(f"self.{name} =" in source for name in [*used.split(), "response_complete"])


def test_a_cycle_writes_a_head_whole_and_in_lower_case() -> None:
    """`Together` knows one by that, and is all of a transport that a cycle uses."""
    source = inspect.getsource(RequestResponseCycle)
    assert "name = name.lower()" in source and 'content.extend([name, b": ", value' in source
    used = set(re.findall(r"self\.transport\.(\w+)", source))
    assert used == {"write", "close", "is_closing"}


def test_each_status_has_its_line() -> None:
    assert httptools_impl.STATUS_LINE[503] == b"HTTP/1.1 503 Service Unavailable\r\n"


def test_the_server_has_the_steps_that_are_extended() -> None:
    steps = ("startup", "shutdown", "main_loop", "on_tick", "capture_signals", "handle_exit")
    assert all(hasattr(uvicorn.Server, step) for step in steps)
    assert "self.servers" in inspect.getsource(uvicorn.Server.shutdown)
