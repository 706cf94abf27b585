"""What a server at rest has not loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestr8_index.serve.memory import defer

NEEDLESS = (
    "email.mime multiprocessing watchfiles uvicorn.supervisors simsimd numpy prometheus_client mcp "
    "orchestr8_index.catalog.scan orchestr8_index.client orchestr8_index.cli.show "
    "_pickle _bz2 _lzma html.entities"
).split()
SERVER = """
import sys
from orchestr8_index.serve.memory import defer_unused
defer_unused()
from orchestr8_index import app
from orchestr8_index.cli import serve
from orchestr8_index.serve.memory import load_uvicorn
load_uvicorn()
from orchestr8_index.serve import changes, http, logs, protocol, server, stores, trace
"""


def loaded(code: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", code + "\nprint(*sys.modules)"], capture_output=True, check=True
    )
    return set(ran.stdout.decode().split())


def test_a_server_loads_nothing_that_it_may_never_need() -> None:
    assert loaded(SERVER).isdisjoint(NEEDLESS)


def test_what_was_left_out_of_uvicorn_can_still_be_loaded() -> None:
    assert "multiprocessing" in loaded(SERVER + "from uvicorn.supervisors import Multiprocess")


def test_what_is_deferred_works_once_it_is_used() -> None:
    used = """
import html, pickle, shutil
assert html.escape("<") == "&lt;" and pickle.loads(pickle.dumps([1])) == [1]
assert {"bztar", "xztar"} <= {name for name, _ in shutil.get_archive_formats()}
"""
    assert {"_pickle", "html.entities"} <= loaded(SERVER + used)


SLOW = """
import threading

def other():
    import slow
    seen.append(getattr(slow, "value", None))

seen = []
thread = threading.Thread(target=other)
thread.start()
thread.join(0.1)  # it ends in this time where it does not wait for the code below
value = 1
"""


def test_a_thread_waits_until_another_has_loaded_what_is_deferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second thread at once was told that the module had no such name."""
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    defer("slow")
    slow = sys.modules.pop("slow")
    monkeypatch.setitem(sys.modules, "slow", slow)
    assert slow.value == 1
    slow.thread.join()
    assert slow.seen == [1]
