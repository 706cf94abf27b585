"""What the shared state promises holds in PostgreSQL too: the tests of coordinate/, run there."""

from __future__ import annotations

from types import ModuleType

import pytest
from _pytest.fixtures import FixtureFunctionDefinition

from ..coordinate import test_claims, test_locks, test_messages, test_values

pytestmark = pytest.mark.usefixtures("on_postgres")
SQLITE_ALONE = {
    "test_a_full_store_refuses_and_still_deletes",  # a limit of a file
    "test_the_log_makes_room_before_its_time_but_for_what_waits",  # a limit of a file
    "test_a_file_of_the_first_layout_keeps_its_history",
    "test_a_restart_renews_locks_by_their_lease",  # here time goes on while a server is away
}


def _take(module: ModuleType) -> None:
    room = module.__name__.rpartition("_")[2]
    for name, found in vars(module).items():
        if isinstance(found, FixtureFunctionDefinition):
            globals()[name] = found
        elif name.startswith("test_") and name not in SQLITE_ALONE:
            globals()[name.replace("test_", f"test_{room}_", 1)] = found


for each in (test_claims, test_locks, test_messages, test_values):
    _take(each)
