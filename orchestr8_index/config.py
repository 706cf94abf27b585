"""Everything that the environment and the arguments decide, declared once, as structs.

`environment` and `variables` read it; everybody else gets a `Settings`. docs/settings.md lists it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from .environment import (
    DEFAULT_PORT,
    LOOPBACK,
    REPOSITORY,
    Asked,
    colour_wanted,
    current_folder,
    environment,
    home_folder,
    inherited_environment,
    named_path,
    read_place,
    refuse_unwritable,
)
from .errors import BadSetting
from .limits import TEAM_RATE, USUAL, Limits, ReadLimits, whole
from .project import NamedProject, Project, digest_of_roots, named_by_roots, project_of, read_names
from .roots import (
    SHIPPED,
    choose_roots,
    discovered_roots,
    fixture_root,
    installed_plugins,
    moved_folders,
)
from .switches import HostFile, Switches, read_switches, settings_files
from .tokens import ESTIMATE, TOKENIZERS
from .variables import read

NAMED = ("--root", "MCP_ROOTS")
SHARED = "shared"
LOG_LEVELS = ("debug", "info", "warning", "error")
QUERY_LIFE, PATTERN_LIFE = 300, 600

__all__ = [
    "DEFAULT_PORT",
    "LOOPBACK",
    "Door",
    "Limits",
    "ReadLimits",
    "USUAL",
    "REPOSITORY",
    "SHIPPED",
    "Settings",
    "colour_wanted",
    "digest_of_roots",
    "discovered_roots",
    "fixture_root",
    "inherited_environment",
    "installed_plugins",
    "read_settings",
]


def _text(description: str, **extra: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, extra=extra)


class Door(msgspec.Struct, frozen=True):
    """Where the server listens, under which names, and with which certificate. Each field is an
    option of `serve` and `up`, too."""

    host: Annotated[
        str, _text("listen on this address; beyond loopback keys are needed", form="ADDRESS")
    ] = LOOPBACK
    allow_hosts: Annotated[
        tuple[str, ...],
        _text("another name that callers use for this machine; may be repeated", form="NAME"),
    ] = ()
    allow_origins: Annotated[
        tuple[str, ...],
        _text(
            "let pages of this origin (scheme, host and port) ask, beside our own; may be repeated",
            form="ORIGIN",
        ),
    ] = ()
    require_keys: Annotated[bool, _text("ask for a key on loopback, too")] = False
    tls_cert: Annotated[str, _text("speak TLS with this certificate (PEM)", form="FILE")] = ""
    tls_key: Annotated[str, _text("the certificate's key (PEM)", form="FILE")] = ""
    workspace: Annotated[
        str, _text("serve the files of tasks below this folder, at /mcp/gateway", form="FOLDER")
    ] = ""

    @property
    def is_loopback(self) -> bool:
        return self.host in (LOOPBACK, "localhost", "::1")

    @property
    def needs_keys(self) -> bool:
        return self.require_keys or not self.is_loopback


class Settings(msgspec.Struct, frozen=True):
    """`roots` are absolute, resolved folders in order of precedence, which identify the settings;
    `places` are the same as they were named: a link in them may lead elsewhere by now.

    `local_key` is what a server that needs keys makes for the command line of its own user.
    `strangers` are sentences about unknown MCP_ variables.
    `project` is None where the roots were named.
    """

    roots: tuple[str, ...]
    roots_from: str
    data_dir: Path
    places: tuple[str, ...] = ()
    port: int = DEFAULT_PORT
    log_level: Annotated[str, _text("the least that is logged", one_of=LOG_LEVELS)] = "info"
    cache_ttl: Annotated[
        int | None,
        whole(0, 30 * 86400, f"seconds; {QUERY_LIFE} for queries, {PATTERN_LIFE} for patterns"),
    ] = None
    watch: Annotated[bool, _text("watch the roots and index what changes")] = True
    auto_restart: Annotated[bool, _text("restart a server that crashed")] = True
    tokenizer: Annotated[
        str,
        _text(
            "who counts tokens: by 4 characters each, or exactly (needs `pip install bpe-openai`, "
            "140 MB of memory)",
            one_of=TOKENIZERS,
        ),
    ] = ESTIMATE
    otel_endpoint: Annotated[
        str, _text("an OpenTelemetry collector (OTLP over HTTP)", form="URL")
    ] = ""
    store_soft_mb: Annotated[int, whole(1, 1 << 20, "above it the query log is pruned")] = 100
    store_hard_mb: Annotated[int, whole(1, 1 << 20, "above it outcomes are refused")] = 500
    claims: Annotated[
        str,
        _text(
            "an edit of a file that another agent has claimed: `deny` refuses it, `warn` tells "
            "both; `off`: no claims and no gate for git",
            one_of=("deny", "warn", "off"),
        ),
    ] = "warn"
    coordinate_sync: Annotated[
        str,
        _text(
            "`fast`: what is acknowledged of the shared state survives the process, but not a "
            "power cut",
            one_of=("full", "fast"),
        ),
    ] = "full"
    coordinate_hard_mb: Annotated[
        int, whole(1, 1 << 20, "above it new shared values and messages are refused")
    ] = 500
    database_url: Annotated[
        str,
        _text(
            "the PostgreSQL that several servers share, as libpq takes it: see docs/team; needs "
            "`pip install 'orchestr8-index[team]'`. Also `--database`, without a password",
            form="DATABASE",
        ),
    ] = ""
    index: Annotated[
        str,
        _text(
            "`shared`: have no trees, and serve what another server of the team serves of this "
            "folder's project",
            one_of=("own", SHARED),
        ),
    ] = "own"
    redis_url: Annotated[
        str,
        _text(
            "the Redis that a team's servers share, and that programs read: see docs/team; also "
            "`redis+sentinel://HOST:PORT,…/SERVICE`",
            form="URL",
            prefix="",
            schemes=("redis", "rediss", "redis+sentinel", "unix"),
        ),
    ] = ""
    redis_host: Annotated[str, _text("the same, where there is no REDIS_URL", prefix="")] = ""
    redis_port: Annotated[
        int, msgspec.Meta(ge=1, le=65535, description="of REDIS_HOST", extra={"prefix": ""})
    ] = 6379
    nats_url: Annotated[
        str,
        _text(
            "the NATS server (with JetStream) that all events are written to: see docs/team",
            form="URL",
            prefix="",
            schemes=("nats", "tls"),
        ),
    ] = ""
    api_key: Annotated[
        str, _text("what command line, bridge and Claude Code plugin show to a server", form="KEY")
    ] = ""
    local_key: str = ""
    database_is_named: bool = False
    explicit_port: bool = False
    explicit_data_dir: bool = False
    notify_socket: str = ""
    strangers: tuple[str, ...] = ()
    project: Project | None = None
    names: tuple[NamedProject, ...] = ()
    home: str = ""
    host_files: tuple[HostFile, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    door: Door = Door()
    limits: Limits = Limits()
    reading: ReadLimits = USUAL

    def __repr__(self) -> str:
        """Without the keys, which must not end in a log."""
        return f"Settings(roots={self.roots!r}, data_dir={str(self.data_dir)!r}, port={self.port})"

    @property
    def redis(self) -> str:
        """The address of Redis, "" without one."""
        at = f"redis://{self.redis_host}:{self.redis_port}" if self.redis_host else ""
        return self.redis_url or at

    @property
    def has_helpers(self) -> bool:
        """Whether Redis or NATS gets the events of the shared state, too."""
        return bool(self.redis or self.nats_url)

    @property
    def query_life(self) -> float:
        """Seconds for which an answer is cached."""
        return QUERY_LIFE if self.cache_ttl is None else self.cache_ttl

    @property
    def pattern_life(self) -> float:
        return PATTERN_LIFE if self.cache_ttl is None else self.cache_ttl

    @property
    def roots_now(self) -> tuple[str, ...]:
        """The roots, with links resolved now."""
        return tuple(dict.fromkeys(map(os.path.realpath, self.places))) or self.roots

    @property
    def shared_roots(self) -> tuple[str, ...]:
        """The roots that other projects have, too."""
        return self.project.shared(self.roots) if self.project else ()

    @property
    def switches(self) -> Switches:
        """What is switched off in the hosts' settings now; nothing where roots were named."""
        return read_switches(self.host_files, self.home, self.project.tree if self.project else "")

    @property
    def explicit_roots(self) -> bool:
        return self.roots_from in NAMED

    @property
    def roots_digest(self) -> str:
        """Identifies what is indexed: the roots, or of a shared index the database and project."""
        if self.index == SHARED:
            return digest_of_roots(
                [SHARED, self.database_url, self.project.key if self.project else ""]
            )
        return digest_of_roots(self.roots)

    @property
    def known_as(self) -> Project | None:
        """The project; for roots that were named, the named project that has their folders."""
        return self.project or named_by_roots(self.roots, self.names)

    @property
    def project_key(self) -> str:
        """The project's key in the store; roots that were named are a project of their own."""
        return known.key if (known := self.known_as) else self.roots_digest

    @property
    def repository_key(self) -> str:
        """The key under which agents of all trees and parts of a repository share their state."""
        return known.meeting_key if (known := self.known_as) else self.roots_digest

    @property
    def data_digest(self) -> str:
        """Identifies the data directory without its path."""
        return digest_of_roots([os.path.realpath(self.data_dir)])


def _door(env: Asked, given: Mapping[str, Any] | None, home: Path, cwd: Path) -> Door:
    door = Door(**read(Door, env, given, lambda path: str(named_path(path, home, cwd))))
    if bool(door.tls_cert) != bool(door.tls_key):
        sentence = "A certificate needs its key, and a key its certificate."
        raise BadSetting(sentence, "Name both --tls-cert and --tls-key.")
    return door


def _host_files(project: Project | None, home: Path, env: Asked) -> tuple[HostFile, ...]:
    """The hosts' settings files for a project; none where roots were named."""
    if project is None:
        return ()
    tree = Path(project.tree) if project.tree != str(home) else None
    return tuple(settings_files(home, env, tree))


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

    `door` has arguments for Door's fields. Raises BadSetting for a value that cannot be used.
    """
    env = Asked(environment() if environ is None else environ)
    home, cwd = home or home_folder(), cwd or current_folder()
    chosen, origin = choose_roots(roots, env, cwd, home)
    place = read_place(port, data_dir, env, home, cwd)
    refuse_unwritable(*chosen)
    names = read_names(place.data_dir)
    project = None if origin in NAMED else project_of(str(cwd), str(home), chosen, names)
    opened = _door(env, door, home, cwd)
    settings = Settings(
        roots=tuple(map(os.path.realpath, chosen)),
        places=chosen if origin in NAMED else (),
        roots_from=origin,
        project=project,
        names=names,
        home=str(home),
        host_files=_host_files(project, home, env),
        moved=moved_folders(home, env),
        **place._asdict(),
        notify_socket=env.get("NOTIFY_SOCKET", ""),
        door=opened,
        limits=Limits(**({} if opened.is_loopback else {"rate": TEAM_RATE}) | read(Limits, env)),
        reading=ReadLimits(**read(ReadLimits, env)),
        **read(Settings, env),
        strangers=env.strangers(),  # the last, as it needs all reads above
    )
    return without_trees(settings) if settings.index == SHARED else settings


def without_trees(settings: Settings) -> Settings:
    """The settings of a server that serves another server's index. Raises BadSetting."""
    if settings.explicit_roots:
        cure = "Leave out one of the two."
        raise BadSetting("A server that serves another's index has no trees of its own.", cure)
    changes = {"roots": (), "roots_from": "of another server of the team", "index": SHARED}
    return msgspec.structs.replace(settings, **changes)
