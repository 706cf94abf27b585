"""The caller of a request and its right: set by the guard, read where a call is performed."""

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
STRANGE = re.compile(r"[^A-Za-z0-9._@/-]+")  # what no agent's name has
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="")


class Principal(Struct, frozen=True):
    """`name` is the key's, or the peer's address; a right includes those before it.

    `agent` is what a caller without a key calls itself; `tree` the folder that it works in;
    `project` the one that it names. `own`: a program of this very user, who is believed what
    folders there are. `share`: how much of a bound its kind may take; the hooks and the command
    line come through a little longer than all others. `ident`: the key's id, which no later key of
    that name has; "" without one, and for the command line of this user. `client` is what its
    program calls itself in MCP. `writes` are the shared keys that it may write, `projects` the keys
    of the projects that it is for; () for all.
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
        """What it has in common with others of its sort."""
        return self.name if self.keyed else self.client or self.agent or "local"

    @property
    def label(self) -> str:
        """The name among agents: what a caller says of itself never hides its key, and nobody has
        the name by which the server signs its own messages."""
        own = (self.name, self.agent) if self.keyed else (self.agent or "local",)
        label = "/".join(filter(None, own))
        return f"agent-{label}" if label.casefold() == "server" else label

    def may(self, right: Right) -> bool:
        return RIGHTS.index(self.right) >= RIGHTS.index(right)

    def is_for(self, project: str) -> bool:
        """Whether its key is for the project of that key."""
        return not self.projects or project in self.projects

    def must_see_all(self) -> None:
        """For what is told of the whole server. Raises Forbidden."""
        if self.projects:
            sentence = "That is about the whole server, and this key is for some of its projects."
            raise Forbidden(sentence, "Use a key that is for all of them.")

    def must_have(self, right: Right) -> None:
        """Raises Forbidden."""
        if not self.may(right):
            raise Forbidden(f"This key may {self.right}; that needs the scope {right}.")


_PREFIX, _NUMBERS = secrets.token_hex(4), itertools.count(secrets.randbits(24))


def new_ident() -> str:
    """For a request that brings no correlation id of its own."""
    return f"{_PREFIX}{next(_NUMBERS):08x}"


LOCAL = Principal()
caller: contextvars.ContextVar[Principal] = contextvars.ContextVar("caller", default=LOCAL)
