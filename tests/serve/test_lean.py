"""What a server at rest has not loaded."""

import subprocess
import sys

NEEDLESS = (
    "email.mime multiprocessing watchfiles uvicorn.supervisors simsimd numpy prometheus_client mcp "
    "orchestr8_index.catalog.scan orchestr8_index.client orchestr8_index.cli.show"
).split()
SERVER = """
import sys
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
