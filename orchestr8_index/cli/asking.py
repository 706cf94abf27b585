"""Who answers a question of the command line? The server that fits the options, else an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ..config import Settings
from ..errors import OperationError
from . import show

if TYPE_CHECKING:
    from ..daemon.probe import Address

Ask = Callable[[str, Struct], Any]


@dataclass(frozen=True)
class Source:
    """`ask(method, params)` gives the method's result as plain values; `told` says who answers."""

    ask: Ask
    told: str


def source_of(settings: Settings) -> Source:
    where = _address_of_server(settings)
    if where is not None:
        return Source(_server(where), f"from the server on {show.url(where)}")
    index, told = index_of(settings)
    return Source(_here(index), told)


def index_of(settings: Settings) -> tuple[Any, str]:
    """The newest snapshot of the roots, made first if it is not up to date; and which it is."""
    from .local import build_now, generations_of

    before = generations_of(settings).newest()
    bar = show.Progress()
    try:
        index = build_now(settings, bar)
    finally:
        bar.end()
    over = f"over {show.roots(settings)}, {settings.roots_from}"
    if index.generation == before:
        return index, f"no server asked; from the last snapshot {over}"
    return index, f"no server asked; indexed on the spot {over}"


def _address_of_server(settings: Settings) -> Address | None:
    """A server of ours that serves the roots that were asked for, or any if none were named."""
    from ..daemon.probe import get_health
    from ..daemon.supervise import address_to_ask

    where = address_to_ask(settings)
    health = get_health(where) if where else None
    if health is None or health["status"] == "starting":
        return None
    if settings.explicit_roots and health.get("roots_digest") != settings.roots_digest:
        return None
    return where


def _server(where: Address) -> Ask:
    from ..daemon.probe import call

    def ask(method: str, params: Struct) -> Any:
        try:
            reply = call(where, method, msgspec.to_builtins(params))
        except OSError as error:
            raise OperationError(f"The server on {show.url(where)} broke off: {error}.") from None
        if "error" in reply:
            raise OperationError(*_complaint(reply["error"]))
        return reply["result"]

    return ask


def _complaint(error: Mapping[str, Any]) -> tuple[str, str]:
    return error["message"], error.get("data", {}).get("cure", "")


def _here(index: Any) -> Ask:
    from ..errors import InvalidParams
    from ..search.methods import Knowledge, answer_method
    from ..text import Terms

    knowledge = Knowledge(Terms())

    def ask(method: str, params: Any) -> Any:
        try:
            return msgspec.to_builtins(answer_method(index, method, params, knowledge))
        except InvalidParams as error:
            raise OperationError(error.sentence, error.cure) from None

    return ask
