"""The caller of a request and its scope: set by the guard, checked where a call is performed."""

from __future__ import annotations

import contextvars
import itertools
import re
import secrets
from typing import Literal

from msgspec import Struct

from ..errors import Forbidden

Right = Literal["read", "report", "admin"]
RIGHTS: tuple[Right, ...] = ("read", "report", "admin")
CORRELATION = b"x-correlation-id"
STRANGE = re.compile(r"[^A-Za-z0-9._@/-]+")  # characters not allowed in an agent's name
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="")


class Principal(Struct, frozen=True):
    """A caller. `name` is the key's name or the peer's address; a right includes those before it.

    `agent` is the name that it sends, `tree` its working folder, `project` the project that it
    names. `own`: a local program of this user, which may name folders. `share`: the part of a limit
    up to which it is admitted; higher for hooks and the command line. `ident` is the key's id,
    which no later key of that name has; "" without a key and for this user's command line. `client`
    is its program's name in MCP. `writes` are the shared keys that it may write, `projects` the
    keys of the projects that it may use; () for all.
    """

    name: str = "local"
    right: Right = "admin"
    keyed: bool = False
    agent: str = ""
    tree: str = ""
    share: float = 0.9
    project: str = ""
    own: bool = False
    ident: str = ""
    client: str = ""
    writes: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What callers of one kind share: the key's name, else the client's, else the agent's."""
        return self.name if self.keyed else self.client or self.agent or "local"

    @property
    def label(self) -> str:
        """The agent name: of a keyed caller it begins with the key's name, and it is never
        `server`, with which the server signs its own messages."""
        own = (self.name, self.agent) if self.keyed else (self.agent or "local",)
        label = "/".join(filter(None, own))
        return f"agent-{label}" if label.casefold() == "server" else label

    def may(self, right: Right) -> bool:
        return RIGHTS.index(self.right) >= RIGHTS.index(right)

    def is_for(self, project: str) -> bool:
        """Whether it may use the project of that project key."""
        return not self.projects or project in self.projects

    def must_see_all(self) -> None:
        """Check that it may see data of the whole server. Raises Forbidden."""
        if self.projects:
            sentence = "That is about the whole server, and this key is for some of its projects."
            raise Forbidden(sentence, "Use a key that is for all of them.")

    def must_have(self, right: Right) -> None:
        """Check its scope. Raises Forbidden."""
        if not self.may(right):
            raise Forbidden(f"This key may {self.right}; that needs the scope {right}.")


_PREFIX, _NUMBERS = secrets.token_hex(4), itertools.count(secrets.randbits(24))


def new_ident() -> str:
    """A new correlation id, for a request without one."""
    return f"{_PREFIX}{next(_NUMBERS):08x}"


LOCAL = Principal()
caller: contextvars.ContextVar[Principal] = contextvars.ContextVar("caller", default=LOCAL)
