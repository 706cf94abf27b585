"""shared and session: the values that agents share, and the sessions in which they talk."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import OperationError
from ..records import JsonObject
from ..sharing import plain_text
from ..text import as_utf8
from ..validate import UNDECODABLE
from .asking import RunningServer, sharing_server
from .options import confirm, emit, of_server, yes_option
from .paint import echo, echo_json
from .show import amount

PAGE = 1000
as_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
agent_option = click.option("--agent", default="", help="Ask under this name among agents.")


@click.group()
def shared() -> None:
    """Values that agents share.

    \b
    orchestr8-index shared put task/42 '{"state": "review"}'
    orchestr8-index shared get task/42
    orchestr8-index shared list task/
    """


@shared.command("get")
@click.argument("key")
@as_json_option
@of_server
def get_value(settings: Settings, key: str, as_json: bool) -> None:
    """Print the value of KEY; with --json who wrote it and when, too. Status 1 without one.

    \b
    orchestr8-index shared get task/42
    """
    items = sharing_server(settings).ask("readShared", {"keys": [as_utf8(key)]})["items"]
    if not items:
        raise OperationError(f"There is no {key}.", "`orchestr8-index shared list` has all keys.")
    emit(items[0], as_json, lambda: plain_text(items[0]["value"]))


@shared.command("put")
@click.argument("key")
@click.argument("value")
@click.option("--ttl", "ttl_s", type=click.IntRange(1, 86400), help="Seconds until it goes.")
@click.option("--if-rev", type=click.IntRange(0), help="Only over this revision; 0: only if new.")
@agent_option
@as_json_option
@of_server
def put_value(
    settings: Settings, key: str, value: str, agent: str, as_json: bool, **more: int | None
) -> None:
    """Write VALUE: JSON, else a text; `-` reads it from standard input.

    \b
    orchestr8-index shared put task/42 '{"state": "review"}'
    orchestr8-index shared put plan - < plan.json
    """
    text = sys.stdin.read() if value == "-" else as_utf8(value)
    op = {"key": as_utf8(key), "value": json_or_text(text)}
    op |= {name: each for name, each in more.items() if each is not None}
    done = sharing_server(settings, agent).ask("writeShared", {"ops": [op]})
    emit(done, as_json, lambda: f"{key} is at revision {done['rev']}.")


@shared.command("list")
@click.argument("prefix", default="")
@as_json_option
@of_server
def list_values(settings: Settings, prefix: str, as_json: bool) -> None:
    """List the keys below PREFIX with their revisions and who wrote them.

    \b
    orchestr8-index shared list task/
    """
    rows = _all_values(sharing_server(settings), as_utf8(prefix))
    emit(rows, as_json, lambda: "\n".join(map(_item, rows)) or "There is no value.")


@shared.command("history")
@click.argument("key")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json_option
@of_server
def history(settings: Settings, key: str, limit: int, as_json: bool) -> None:
    """Show what was written to KEY, the newest first; a deletion shows null.

    \b
    orchestr8-index shared history task/42
    """
    params = {"keys": [as_utf8(key)], "history": True, "limit": limit}
    rows = sharing_server(settings).ask("readShared", params)["items"]
    lines = (f"{row['rev']}  {row['at']}  {row['by']}  {plain_text(row['value'])}" for row in rows)
    emit(rows, as_json, lambda: "\n".join(lines) or f"The log has nothing of {key}.")


@shared.command("snapshot")
@click.argument("prefix", default="")
@of_server
def snapshot(settings: Settings, prefix: str) -> None:
    """Print all values below PREFIX as JSON, for `restore`.

    \b
    orchestr8-index shared snapshot task/ > tasks.json
    """
    answer = sharing_server(settings).ask("snapshotShared", {"prefix": as_utf8(prefix)})
    echo_json(msgspec.json.encode({"prefix": prefix, **answer}).decode())


@shared.command("restore")
@click.argument("file", type=click.File("rb"))
@click.option("--prefix", help="What is below it and not in the file goes [as in the file].")
@of_server
def restore(settings: Settings, file: Any, prefix: str | None) -> None:
    """Put back what a snapshot has; every other key below its prefix goes. `-` reads from standard
    input.

    \b
    orchestr8-index shared restore tasks.json
    """
    try:
        saved = msgspec.json.decode(file.read(), type=dict[str, Any])
        below = saved.get("prefix", "") if prefix is None else as_utf8(prefix)
        params = {"items": saved["items"], "prefix": below}
    except (*UNDECODABLE, KeyError):
        cure = "`orchestr8-index shared snapshot` makes one."
        raise OperationError("That is no snapshot of shared values.", cure) from None
    done = sharing_server(settings).ask("restoreShared", params)
    echo(f"{done['put']} values put back, {done['deleted']} deleted.")


@shared.command("clear")
@click.argument("prefix")
@yes_option
@of_server
def clear(settings: Settings, prefix: str, yes: bool) -> None:
    """Delete every value below PREFIX.

    \b
    orchestr8-index shared clear task/
    """
    server, below = sharing_server(settings), as_utf8(prefix)
    count = len(_all_values(server, below))
    if count:
        confirm(f"Delete {amount(count, 'value')} below {prefix}?", yes)
    done = server.ask("restoreShared", {"items": [], "prefix": below})
    echo(f"{done['deleted']} values deleted.")


def _all_values(server: RunningServer, prefix: str) -> list[JsonObject]:
    rows, after = list[JsonObject](), ""
    while True:
        page = server.ask("readShared", {"prefix": prefix, "limit": PAGE, "after": after})
        rows += page["items"]
        if not page.get("more"):
            return rows
        after = rows[-1]["key"]


def _item(row: JsonObject) -> str:
    text = plain_text(row["value"])
    shown = text if len(text) <= 60 else f"{text[:59]}…"
    return f"{row['key']:32} {row['rev']:>8}  {row['by']:16} {shown}"


def json_or_text(text: str) -> Any:
    """The text decoded as JSON, or the text itself if it is none."""
    try:
        return msgspec.json.decode(text)
    except UNDECODABLE:
        return text


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


def _listed(row: JsonObject) -> str:
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
    params: dict[str, Any] = {"action": "read", "id": as_utf8(id), "limit": limit}
    params |= {"max_tokens": max_tokens} if max_tokens else {"query": as_utf8(query)}
    answer = sharing_server(settings, agent).ask("session", params)
    emit(answer, as_json, lambda: "\n".join(_lines(answer)) or "Nothing was said yet.")


def _lines(answer: JsonObject) -> list[str]:
    lines = [f"{each['at']}  {each['from']}: {each['body']}" for each in answer["messages"]]
    if not (extract := answer.get("extract")):
        return lines
    chosen = [f"  {each['from']}: {each['text']}" for each in extract["lines"]]
    return [f"Of {extract['of']} older messages ({extract['how']}):", *chosen, "", *lines]
