"""What a server at rest has not loaded."""

import subprocess
import sys

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
