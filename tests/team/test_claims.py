"""What agents' hooks ask of a team's claims never stands in the way of the event loop."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.serve.hooks.claims import ClaimHooks
from orchestr8_index.serve.hooks.payloads import Input, ToolEnded, ToolStarting
from orchestr8_index.team.core import TeamCoordination as Server

from .engines import Postgres
from .worlds import run


class Unread:
    """The connection of the event loop: a PostgreSQL that is slow would stop all by it."""

    def execute(self, *_: object) -> None:
        raise AssertionError("read on the event loop")

    def close(self) -> None:
        pass


def test_hooks_read_a_teams_claims_beside_the_loop(
    quick_postgres: Postgres, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    hooks, file = ClaimHooks("deny"), str(tmp_path / "a.py")

    async def work(a: Server, b: Server) -> None:
        for server in (a, b):
            server.store.reader = Unread()  # type: ignore[assignment]

        async def tool(server: Server, who: str, name: str, **given: str) -> str:
            caller = Caller(who, ident=f"{who}/", project="p", scope="report", tree=str(tmp_path))
            facts: Any = {"session_id": who, "tool_name": name, "tool_use_id": who}
            asked = Input(**given)
            begun = ToolStarting(**facts, tool_input=asked, cwd=str(tmp_path))
            refused = await hooks.before(server, caller, begun)
            ended = ToolEnded(**facts, tool_input=asked, cwd=str(tmp_path))
            return refused or await hooks.after(server, caller, ended)

        assert await tool(a, "one", "Edit", file_path=file) == ""
        Path(file).write_text("x")
        assert "one" in await tool(b, "two", "Edit", file_path=file)
        assert "one" in await tool(b, "two", "Bash", command="git add -A")
        assert await tool(a, "one", "Bash", command="git stash; git commit -am x") == ""

    run(quick_postgres.url, 2, work)
