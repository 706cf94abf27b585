"""Before a server of a team starts: checks that what its settings name is installed and usable.

psycopg and the modules that need it are imported only then.
"""

from __future__ import annotations

import importlib
import logging
from typing import NamedTuple

from ..config import SHARED, Settings
from ..errors import BadSetting, StoreUnavailable

SCHEMA = "orchestr8"
INSTALL = "Install it with `pip install 'orchestr8-index[team]'`."
log = logging.getLogger("orchestr8.shared")


class DatabaseState(NamedTuple):
    """`steps` is how many migrations its tables lack; `durable`: commits are synced to the disk."""

    version: str
    database: str
    role: str
    steps: int
    is_new: bool
    durable: bool


def require(setting: str, package: str) -> None:
    """Raises BadSetting, with the command that installs it, if the package is missing."""
    try:
        importlib.import_module(package)
    except ImportError:
        raise BadSetting(f"{setting} needs {package}, which is not here.", INSTALL) from None


def require_psycopg() -> None:
    """Raises BadSetting."""
    require("MCP_DATABASE_URL", "psycopg")


def check(url: str, schema: str) -> DatabaseState:
    """Raises BadSetting, StoreUnavailable and StoreTooNew, each a sentence with its cure."""
    require_psycopg()
    from .connection import connected
    from .schema import MIGRATIONS, check_engine, check_version

    with connected(url, schema, "looks") as connection:
        check_engine(connection)
        info = connection.info
        major, minor = divmod(info.server_version, 10_000)
        done = check_version(connection, schema)
        steps = len(MIGRATIONS) - done
        syncs = connection.execute("SHOW fsync").fetchone() == ("on",)
        return DatabaseState(f"{major}.{minor}", info.dbname, info.user, steps, not done, syncs)


def make_tables(url: str, schema: str) -> int:
    """Run the missing migrations; returns how many. Raises as `check` does."""
    require_psycopg()
    from .connection import connected
    from .schema import migrate

    with connected(url, schema, "makes tables") as connection:
        return migrate(connection, schema)


def check_start(settings: Settings) -> None:
    """Raises BadSetting; not for a database that is away, as it may come back."""
    if settings.redis:
        require("REDIS_URL", "redis")
    if settings.nats_url:
        require("NATS_URL", "nats")
    if settings.index == SHARED and not settings.database_url:
        sentence = "--index shared (MCP_INDEX) serves what a team has published, and none is named."
        raise BadSetting(sentence, "Set MCP_DATABASE_URL, or say --database.")
    if settings.database_url:
        _check_database(settings.database_url)


def _check_database(url: str) -> None:
    try:
        make_tables(url, SCHEMA)
    except StoreUnavailable as error:
        if error.is_passing:
            log.warning("PostgreSQL is away", extra={"reason": str(error)})
        else:
            raise BadSetting(error.sentence, error.cure) from None
