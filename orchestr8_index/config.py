"""Which trees, which port, which folder? Everything that the environment and the arguments decide.

`environment` reads it; everybody else gets a `Settings`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .environment import (
    DEFAULT_PORT,
    LOOPBACK,
    REPOSITORY,
    Asked,
    colour_wanted,
    environment,
    expand,
    inherited_environment,
    number,
    read_place,
    refuse_unwritable,
)
from .errors import BadSetting
from .tokens import ESTIMATE, TOKENIZERS

LOG_LEVELS = ("debug", "info", "warning", "error")
SYNONYMS = {"warn": "warning"}
SHIPPED = "the shipped plugins_fixture"
QUERY_LIFE, PATTERN_LIFE = 300, 600
TLS = ("tls_cert", "tls_key")


__all__ = [
    "DEFAULT_PORT",
    "LOOPBACK",
    "RANGES",
    "Door",
    "Limits",
    "READ_RANGES",
    "ReadLimits",
    "USUAL",
    "REPOSITORY",
    "Settings",
    "colour_wanted",
    "digest_of_roots",
    "discovered_roots",
    "fixture_root",
    "inherited_environment",
    "installed_plugins",
    "read_settings",
]


TEAM_RATE = 50  # questions a second for each key, where the server listens beyond loopback
_SECONDS, _MANY = 86_400, 1 << 20


class Limits(msgspec.Struct, frozen=True):
    """How much one request, one caller and all of them together may take.

    `max_body` and `max_head` are bytes; `rate` is requests a second for each caller, 0 for no
    limit; `memory_*_mb` are raised by what the catalogue and the libraries in use need.
    """

    max_body: int = 1_000_000
    max_batch: int = 100
    max_head: int = 32_768
    max_headers: int = 100
    max_connections: int = 2000
    max_running: int = 128
    head_seconds: int = 10
    body_seconds: int = 30
    send_seconds: int = 30
    idle_seconds: int = 75
    rate: int = 0
    memory_soft_mb: int = 50
    memory_hard_mb: int = 100


RANGES: dict[str, tuple[int, int]] = {
    "max_body": (1000, 1 << 30),
    "max_batch": (1, 10_000),
    "max_head": (1024, _MANY),
    "max_headers": (10, 10_000),
    "max_connections": (8, _MANY),
    "max_running": (1, _MANY),
    "head_seconds": (1, _SECONDS),
    "body_seconds": (1, _SECONDS),
    "send_seconds": (1, _SECONDS),
    "idle_seconds": (1, _SECONDS),
    "rate": (0, _MANY),
    "memory_soft_mb": (1, _MANY),
    "memory_hard_mb": (1, _MANY),
}
"""The variable of a limit is its name in capitals after MCP_: MCP_MAX_BODY."""


class ReadLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much a tree and one of its files may be; what is over is skipped with a reason.

    `max_files` counts what lies in a tree of whatever kind; `max_yaml_nodes` are the values that
    the aliases of a header come to.
    """

    max_file_bytes: int = 1_000_000
    max_files: int = 1_000_000
    max_folder_depth: int = 40
    max_yaml_depth: int = 100
    max_yaml_nodes: int = 10_000

    @property
    def recipe(self) -> str:
        """Another one than it was: what was skipped may be an entry now, and the reverse."""
        return " ".join(map(str, msgspec.structs.astuple(self)))


USUAL = ReadLimits()
READ_RANGES: dict[str, tuple[int, int]] = {
    "max_file_bytes": (1000, 1 << 30),
    "max_files": (1, 1 << 30),
    "max_folder_depth": (1, 1000),
    "max_yaml_depth": (2, 1000),  # libyaml recurses: some ten thousand end the process
    "max_yaml_nodes": (10, 10_000_000),
}


class Door(msgspec.Struct, frozen=True):
    """Where the server listens, under which names, and with what it proves who it is."""

    host: str = LOOPBACK
    allow_hosts: tuple[str, ...] = ()
    require_keys: bool = False
    tls_cert: str = ""
    tls_key: str = ""

    @property
    def is_loopback(self) -> bool:
        return self.host in (LOOPBACK, "localhost", "::1")

    @property
    def needs_keys(self) -> bool:
        return self.require_keys or not self.is_loopback


class Settings(msgspec.Struct, frozen=True):
    """`roots` are absolute, resolved folders in order of precedence; lives are seconds.

    `api_key` is what the command line shows to a server; `local_key` what a server that needs keys
    makes for the command line of its own user.
    `strangers` are sentences about MCP_ variables that nobody reads.
    """

    roots: tuple[str, ...]
    roots_from: str
    data_dir: Path
    port: int = DEFAULT_PORT
    log_level: str = "info"
    query_life: float = QUERY_LIFE
    pattern_life: float = PATTERN_LIFE
    auto_restart: bool = True
    watch: bool = True
    store_soft_mb: int = 100
    store_hard_mb: int = 500
    tokenizer: str = ESTIMATE
    explicit_port: bool = False
    explicit_data_dir: bool = False
    otel_endpoint: str = ""
    notify_socket: str = ""
    strangers: tuple[str, ...] = ()
    door: Door = Door()
    limits: Limits = Limits()
    reading: ReadLimits = USUAL
    api_key: str = ""
    local_key: str = ""

    def __repr__(self) -> str:
        """Without the keys, which must not end in a log."""
        return f"Settings(roots={self.roots!r}, data_dir={str(self.data_dir)!r}, port={self.port})"

    @property
    def explicit_roots(self) -> bool:
        return self.roots_from in ("--root", "MCP_ROOTS")

    @property
    def roots_digest(self) -> str:
        return digest_of_roots(self.roots)

    @property
    def data_digest(self) -> str:
        """Tells one data directory from another, and not where it lies."""
        return digest_of_roots([os.path.realpath(self.data_dir)])


def digest_of_roots(roots: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(roots).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def read_settings(
    roots: Sequence[str] = (),
    port: int | None = None,
    data_dir: str | None = None,
    *,
    door: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    home: Path | None = None,
) -> Settings:
    """Arguments win over the environment, the environment over what is found, that over defaults.

    `door` are the arguments among Door's fields. Raises BadSetting with a sentence and a cure where
    a value cannot be used.
    """
    env = Asked(environment() if environ is None else environ)
    home = Path.home() if home is None else home
    cwd = Path.cwd() if cwd is None else cwd
    chosen, origin = _choose_roots(roots, env, cwd, home)
    life = number(env, "MCP_CACHE_TTL", 0, 30 * 86400)
    place = read_place(port, data_dir, env, home, cwd)
    refuse_unwritable(*chosen)
    opened = _door(door or {}, env, home, cwd)
    return Settings(
        roots=chosen,
        roots_from=origin,
        data_dir=place.data_dir,
        port=place.port,
        log_level=_one_of(env, "MCP_LOG_LEVEL", LOG_LEVELS, "info"),
        query_life=_first(life, QUERY_LIFE),
        pattern_life=_first(life, PATTERN_LIFE),
        auto_restart=_one_of(env, "MCP_AUTO_RESTART", ("true", "false"), "true") == "true",
        watch=_one_of(env, "MCP_WATCH", ("true", "false"), "true") == "true",
        store_soft_mb=_first(number(env, "MCP_STORE_SOFT_MB", 1, 1 << 20), 100),
        store_hard_mb=_first(number(env, "MCP_STORE_HARD_MB", 1, 1 << 20), 500),
        tokenizer=_one_of(env, "MCP_TOKENIZER", TOKENIZERS, ESTIMATE),
        explicit_data_dir=place.explicit_data_dir,
        explicit_port=place.explicit_port,
        otel_endpoint=_address(env, "MCP_OTEL_ENDPOINT"),
        notify_socket=env.get("NOTIFY_SOCKET", ""),
        door=opened,
        limits=_limits(env, opened),
        reading=ReadLimits(**_given(env, READ_RANGES)),
        api_key=env.get("MCP_API_KEY", "").strip(),
        strangers=env.strangers(),  # the last: it knows what was asked for above
    )


def _limits(env: Mapping[str, str], door: Door) -> Limits:
    default = Limits(rate=0 if door.is_loopback else TEAM_RATE)
    return msgspec.structs.replace(default, **_given(env, RANGES))


def _given(env: Mapping[str, str], ranges: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    found = {name: number(env, f"MCP_{name.upper()}", *ranges[name]) for name in ranges}
    return {name: value for name, value in found.items() if value is not None}


def _door(given: Mapping[str, Any], env: Mapping[str, str], home: Path, cwd: Path) -> Door:
    host, hosts = env.get("MCP_HOST", "").strip(), env.get("MCP_ALLOW_HOSTS", "").split(",")
    named = tuple(given.get("allow_hosts") or hosts)
    required = _one_of(env, "MCP_REQUIRE_KEYS", ("true", "false"), "false") == "true"
    pems = {name: env.get(f"MCP_{name.upper()}", "") for name in TLS}
    files = {name: given.get(name) or pem for name, pem in pems.items()}
    if bool(files["tls_cert"]) != bool(files["tls_key"]):
        sentence = "A certificate needs its key, and a key its certificate."
        raise BadSetting(sentence, "Name both --tls-cert and --tls-key.")
    return Door(
        host=given.get("host") or host or LOOPBACK,
        allow_hosts=tuple(name.strip().lower() for name in named if name.strip()),
        require_keys=bool(given.get("require_keys")) or required,
        **{name: str(expand(path, home, cwd)) if path else "" for name, path in files.items()},
    )


def _choose_roots(
    roots: Sequence[str], env: Mapping[str, str], cwd: Path, home: Path
) -> tuple[tuple[str, ...], str]:
    if roots:
        return _folders(roots, cwd, home, "--root"), "--root"
    if listed := [part for part in env.get("MCP_ROOTS", "").split(os.pathsep) if part.strip()]:
        return _folders(listed, cwd, home, "MCP_ROOTS"), "MCP_ROOTS"
    if cwd.resolve() != REPOSITORY and (found := discovered_roots(cwd, home)):
        return found, "found here"
    return (str(fixture_root()),), SHIPPED


def _folders(roots: Sequence[str], cwd: Path, home: Path, origin: str) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for root in roots:
        path = expand(root, home, cwd)
        if not os.path.isdir(path):
            raise BadSetting(f"{origin} {root} is not a folder.", "Name a folder that exists.")
        chosen[str(path.resolve())] = None
    return tuple(chosen)


def discovered_roots(cwd: Path, home: Path) -> tuple[str, ...]:
    """The current folder's trees first, then the user's own, then the installed plugins."""
    user = home / ".claude"
    places = [cwd / "plugins", cwd / ".claude"]
    places += [user / kind for kind in ("agents", "skills", "commands")]
    places += installed_plugins(user / "plugins" / "installed_plugins.json")
    found = {str(place.resolve()): None for place in places if os.path.isdir(place)}
    return tuple(found)


def installed_plugins(listing: Path) -> list[Path]:
    """Install paths that the host's own list names; an absent or foreign list names none."""
    try:
        plugins = json.loads(listing.read_text(encoding="utf-8"))["plugins"]
        installs = [install for each in plugins.values() for install in _as_list(each)]
        return sorted(Path(install["installPath"]) for install in installs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def fixture_root() -> Path:
    shipped = Path(__file__).resolve().parent / "plugins_fixture"
    return shipped if shipped.is_dir() else REPOSITORY / "plugins_fixture"


def _as_list(value: object) -> list[dict[str, str]]:
    return value if isinstance(value, list) else [value]  # type: ignore[list-item]


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _address(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "").strip()
    if text and not text.startswith(("http://", "https://")):
        raise BadSetting(f"{name}={text} is no http address.", "Mend it, as http://host:4318.")
    return text


def _one_of(env: Mapping[str, str], name: str, allowed: Sequence[str], default: str) -> str:
    text = env.get(name, "").strip().lower() or default
    text = SYNONYMS.get(text, text)
    if text not in allowed:
        raise BadSetting(f"{name}={text} is not one of {', '.join(allowed)}.", "Mend it.")
    return text
