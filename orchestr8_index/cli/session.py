"""session list, read: what agents say to each other where they work on one thing."""

from __future__ import annotations

from typing import Any

import click

from ..config import Settings
from .asking import sharing_server
from .options import emit, of_server, readable
from .shared import Row, agent_option, as_json_option


@click.group()
def session() -> None:
    """Sessions in which agents talk.

    \b
    orchestr8-index session list
    orchestr8-index session read release --max-tokens 2000
    """


@session.command("list")
@as_json_option
@of_server
def list_sessions(settings: Settings, as_json: bool) -> None:
    """Show the open sessions, the last used first.

    \b
    orchestr8-index session list
    """
    rows = sharing_server(settings).ask("session", {"action": "list", "limit": 1000})["sessions"]
    emit(rows, as_json, lambda: "\n".join(map(_listed, rows)) or "There is no session.")


def _listed(row: Row) -> str:
    names = ", ".join(member["name"] for member in row["members"])
    return f"{row['id']}: {row['purpose'] or 'no purpose'}; {names}; last {row['last']}"


@session.command("read")
@click.argument("id")
@click.option("--max-tokens", type=click.IntRange(100, 200_000), help="Of all that is shown.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--query", default="", help="Those that answer it, the best first.")
@agent_option
@as_json_option
@of_server
def read_session(
    settings: Settings,
    id: str,
    max_tokens: int | None,
    limit: int,
    query: str,
    agent: str,
    as_json: bool,
) -> None:
    """Show the last messages of the session ID; with --max-tokens the newest whole, and of those
    before them an extract: sentences by the weight of their words, which no model wrote.

    \b
    orchestr8-index session read release
    orchestr8-index session read release --max-tokens 2000
    """
    asked: dict[str, Any] = {"action": "read", "id": readable(id), "limit": limit}
    asked |= {"max_tokens": max_tokens} if max_tokens else {"query": readable(query)}
    answer = sharing_server(settings, agent).ask("session", asked)
    emit(answer, as_json, lambda: "\n".join(_lines(answer)) or "Nothing was said yet.")


def _lines(answer: Row) -> list[str]:
    lines = [f"{each['at']}  {each['from']}: {each['body']}" for each in answer["messages"]]
    if not (extract := answer.get("extract")):
        return lines
    chosen = [f"  {each['from']}: {each['text']}" for each in extract["lines"]]
    return [f"Of {extract['of']} older messages ({extract['how']}):", *chosen, "", *lines]
