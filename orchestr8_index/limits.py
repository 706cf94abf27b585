"""How much a server takes at once, and how much of a tree it reads: settings, as config.py has."""

from __future__ import annotations

from typing import Annotated

import msgspec

TEAM_RATE = 50  # questions a second for each key, where the server listens beyond loopback
_SECONDS, _MANY = 86_400, 1 << 20


def whole(low: int, high: int, description: str) -> msgspec.Meta:
    """Bounds and description of a setting that is a whole number."""
    return msgspec.Meta(ge=low, le=high, description=description)


class Limits(msgspec.Struct, frozen=True):
    """How much one request, one caller and all of them together may take."""

    max_body: Annotated[int, whole(1000, 1 << 30, "bytes of one request's body; more is 413")] = (
        1_000_000
    )
    max_batch: Annotated[int, whole(1, 10_000, "calls in one request; more is -32600")] = 100
    max_head: Annotated[int, whole(1024, _MANY, "bytes of a request's headers; more is 431")] = (
        32_768
    )
    max_headers: Annotated[int, whole(10, 10_000, "headers of a request; more is 431")] = 100
    max_connections: Annotated[
        int, whole(8, _MANY, "then the one without a request for the longest time makes way")
    ] = 2000
    max_running: Annotated[
        int, whole(1, _MANY, "requests without an answer, but for event streams; more is 503")
    ] = 100
    max_waiting: Annotated[
        int,
        whole(1, _MANY, "calls that wait for other agents, at most half the connections; then 503"),
    ] = 1000
    max_streams: Annotated[
        int, whole(1, _MANY, "event streams; more is 503. Of sessions over MCP as many are kept")
    ] = 300
    max_held_mb: Annotated[
        int, whole(2, _MANY, "MB of bodies and answers under way, of all callers; more is 503")
    ] = 24
    max_batch_bytes: Annotated[
        int, whole(1000, 1 << 30, "bytes of the answers of one batch; more calls of it are refused")
    ] = 4_000_000
    head_seconds: Annotated[int, whole(1, _SECONDS, "for the headers to come; else 408")] = 10
    body_seconds: Annotated[int, whole(1, _SECONDS, "for the body to come; else 408")] = 30
    send_seconds: Annotated[int, whole(1, _SECONDS, "for an answer to be read")] = 30
    idle_seconds: Annotated[int, whole(1, _SECONDS, "between two requests of a connection")] = 75
    rate: Annotated[
        int,
        whole(
            0,
            _MANY,
            f"requests a second for each key or peer, with a burst of four seconds; then 429. "
            f"0 is no limit; beyond loopback the default is {TEAM_RATE}",
        ),
    ] = 0
    memory_soft_mb: Annotated[
        int,
        whole(
            1,
            _MANY,
            "above it the server is `degraded`; raised by what entries, decisions and libraries in "
            "use need",
        ),
    ] = 50
    memory_hard_mb: Annotated[
        int, whole(1, _MANY, "above it caches are dropped, then 503; raised likewise")
    ] = 100


class ReadLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much a tree and one of its files may be; what is over is skipped with a reason."""

    max_file_bytes: Annotated[
        int, whole(1000, 1 << 30, "of a markdown file, registry or manifest; else skipped")
    ] = 1_000_000
    max_files: Annotated[int, whole(1, 1 << 30, "of whatever kind in one tree")] = 1_000_000
    max_folder_depth: Annotated[int, whole(1, 1000, "of folders in a tree")] = 40
    # libyaml recurses: some ten thousand end the process
    max_yaml_depth: Annotated[int, whole(2, 1000, "of lists and maps in a header")] = 100
    max_yaml_nodes: Annotated[
        int, whole(10, 10_000_000, "values of a header, those that aliases come to among them")
    ] = 10_000

    @property
    def recipe(self) -> str:
        """All limits as text: when it changes, skipped files may be entries, and the reverse."""
        return " ".join(map(str, msgspec.structs.astuple(self)))


USUAL = ReadLimits()
