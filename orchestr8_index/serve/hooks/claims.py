"""What the tools of an agent do to the files of others: claims, the gate for git, and mail.

Before an edit the file is claimed; before a command of git others' work is looked for; after a tool
the agent hears what waits for it. Where nothing is wrong nothing is said.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from ...coordinate.repository import changed_files, staged_files, tree_of
from ...coordinate.resources import resolve
from ...fit import in_prose
from ..callers import STRANGE, Principal, caller
from ..shares import owner_of
from .mail import mail
from .payloads import AgentStopped, Ended, Prompted, Stopped, ToolEnded, ToolStarting
from .purposes import Purposes

if TYPE_CHECKING:
    from ...changeable import ClaimsPolicy
    from ...coordinate.caller import Caller
    from ...coordinate.core import Coordination
    from ...coordinate.git import Others, Step

MCP = "mcp__"  # before the names of tools that come from MCP servers
EDITS = ("Edit", "Write", "MultiEdit", "NotebookEdit")
MOST_WATCHED, MOST_KEPT = 200, 500
MOST_NAMED = 100  # files that git is asked for by name; of more it is asked for all
Event = Prompted | ToolStarting | ToolEnded | AgentStopped | Stopped | Ended


class ClaimHooks:
    """One for the server. `policy` is deny, warn or off: what the command line chose, else the
    setting."""

    def __init__(self, policy: str = "warn") -> None:
        self.setting = policy
        self.chosen: ClaimsPolicy | None = None
        self._told: Any = None
        self._notes: dict[str, list[str]] = {}  # for an agent's next context, by its ident
        self._watched: dict[tuple[str, str], dict[str, int]] = {}  # files by agent and tool use
        self._editing: dict[str, str] = {}  # the file that an agent is about to write
        self._purposes = Purposes()
        self._looked: dict[str, int] = {}  # when an agent's claims were looked at, by lease time
        self._using: dict[str, tuple[str, Caller]] = {}  # who uses a tool of ours, by tool use

    @property
    def policy(self) -> str:
        return (self.chosen.read() if self.chosen else "") or self.setting

    @property
    def trouble(self) -> str:
        """Why what was chosen does not hold, for /health."""
        return self.chosen.trouble if self.policy and self.chosen else ""

    def prompted(self, event: Prompted) -> None:
        """What the session works for from now on."""
        if self.policy != "off" and event.session_id:
            self._purposes.prompted(_session(caller_of(event, "")), event)

    async def before(self, shared: Coordination, who: Caller, event: ToolStarting) -> str:
        """Why the tool may not be used; "" where it may."""
        from ...coordinate import claims

        if (event.tool_name or "").startswith(MCP) and event.tool_use_id:
            self._using[event.tool_use_id] = _owner(caller.get()), who
            _shrink(self._using)
        self._purposes.started(_session(who), event)
        if await self._may_renew(shared, who):
            await shared.change(who, lambda change: claims.renew(change, who))
        if event.tool_name in EDITS:
            return await self._claim(shared, who, event)
        command = event.tool_input.command or ""
        if event.tool_name != "Bash" or not who.tree:
            return ""
        if "git" in command and (why := await self._gate(shared, who, command, event.cwd or "")):
            return why
        if event.tool_use_id:
            await self._watch(shared, who, event.tool_use_id)
        return ""

    async def _may_renew(self, shared: Coordination, who: Caller) -> bool:
        """Whether a claim of the agent was renewed a minute ago or longer; looked at as often."""
        from ...coordinate import claims

        now = shared.clock.now()
        if now < self._looked.get(who.ident, 0) + claims.RENEW_MS:
            return False
        self._looked[who.ident] = now
        _shrink(self._looked)
        return await shared.read(claims.needs_renewal, who, now)

    def agent_of(self, tool_use: str, asks: Principal) -> Caller | None:
        """The agent that a hook of the same key named for this use of a tool."""
        owner, who = self._using.get(tool_use, ("", None))
        return who if owner == _owner(asks) else None

    async def after(self, shared: Coordination, who: Caller, event: ToolEnded) -> str:
        """What the agent should know now."""
        from ...coordinate import claims
        from ...coordinate.work import is_noted

        self._purposes.ended(_session(who), event)
        if event.tool_name in EDITS:
            self._editing.pop(who.ident, None)
        path = event.tool_input.path
        if event.tool_name in EDITS and path and not await shared.read(is_noted, who, path):
            await shared.change(who, lambda change: claims.note_edit(change, who, path))
        if await self._may_renew(shared, who):
            await shared.change(who, lambda change: claims.renew(change, who))
        shared.touch(who)
        notes = self._notes.pop(who.ident, [])
        if event.tool_name == "Bash":
            await self._after_git(shared, who, event)
            notes += await self._written(shared, who, event.tool_use_id or "")
        return "\n".join([*notes, *await mail(shared, who)])

    async def leave(self, shared: Coordination, who: Caller, whole: bool) -> None:
        """The agent has ended; `whole`: its session, with all its agents."""
        from ...coordinate import claims

        self._notes.pop(who.ident, None)
        self._editing.pop(who.ident, None)
        await shared.change(who, lambda change: claims.leave(change, who, whole))

    async def _claim(self, shared: Coordination, who: Caller, event: ToolStarting) -> str:
        from ...coordinate import claims

        told = self._told = self._told or claims.Told()
        if not (path := event.tool_input.path):
            return ""
        self._editing[who.ident] = path = resolve(path, who.tree)
        _shrink(self._editing)
        if await shared.read(claims.is_claimed, who, path, shared.clock.now()):
            return ""
        given = self._purposes.of(who.ident, who.role), self.policy, told
        stashed = await self._settled(shared, who, path)
        verdict = await shared.change(
            who,
            lambda change: claims.claim(change, who, path, *given, stashed),  # type: ignore[arg-type]
        )
        if verdict.context:
            self._notes.setdefault(who.ident, []).append(in_prose(verdict.context))
            _shrink(self._notes)
        return in_prose(verdict.reason)

    async def _settled(self, shared: Coordination, who: Caller, path: str) -> set[str]:
        """What others wrote there and git has is theirs no more. Returns the sessions whose work on
        it may lie in the stash."""
        from ...coordinate import stash
        from ...coordinate.claims import leave_clean
        from ...coordinate.work import works_of_others

        if not await shared.read(works_of_others, who, path):
            return set()
        tree = tree_of(os.path.dirname(path))
        status = await changed_files(tree, path)
        if status is None or path in status:
            return set()
        stashed = await shared.read(stash.sessions, who.project, tree)
        if not any(each == path and ident != who.ident for ident, each in self._editing.items()):
            await shared.change(who, lambda change: leave_clean(change, who, path, stashed))
        return stashed

    async def _gate(self, shared: Coordination, who: Caller, command: str, cwd: str) -> str:
        from ...coordinate import git, stash

        steps = list(git.read_steps(command, cwd))
        for step in steps:
            if why := git.judge(step, await self._others(shared, who, step)):
                return in_prose(why)
        pushes = [step for step in steps if step.verb == "stash" and not step.entry]
        for tree in {tree_of(step.folder) for step in pushes}:
            begin = functools.partial(stash.begin, session=_session(who), tree=tree)
            await shared.change(who, begin)
        return ""

    async def _others(self, shared: Coordination, who: Caller, step: Step) -> Others:
        """Whose work lies in the tree of a step."""
        from ...coordinate import claims, git, stash

        tree = tree_of(step.folder)
        if step.entry:
            await self._settle(shared, who)
            owned = await shared.read(stash.owners, who.project, tree)
            if not stash.is_foreign(_session(who), owned, step.entry):
                return git.Others(tree, {})
            entry = stash.own_entry(_session(who), owned)
            return git.Others(tree, {}, foreign_stash=True, own_entry=entry)
        places, taking = git.places(step, tree), step.verb not in ("add", "commit")
        if step.index:
            staged = await staged_files(tree) or ()
            places = () if len(staged) > MOST_NAMED else tuple(staged)
            if not staged:
                return git.Others(tree, {})
        beside = claims.beside, who, tree, places, taking
        theirs = await shared.read(*beside)
        if not (theirs if step.index else git.judge(step, git.Others(tree, theirs))):
            return git.Others(tree, {})
        own_files = claims.own_files, who, tree, () if step.index else places
        own, status = await shared.read(*own_files), await changed_files(tree)
        clean = [] if status is None else [p for p in (*theirs, *own) if p not in status]
        await self._forget_clean(shared, who, tree, clean)
        theirs, own = await shared.read(*beside), await shared.read(*own_files)
        return git.Others(tree, theirs, tuple(p for p in own if p not in theirs), status)

    async def _forget_clean(
        self, shared: Coordination, who: Caller, tree: str, clean: list[str], committed: str = ""
    ) -> None:
        """What is worked on in files that git has is done."""
        from ...coordinate import claims, stash

        if clean:
            gone = clean, committed, await shared.read(stash.sessions, who.project, tree)
            await shared.change(who, lambda change: claims.forget_clean(change, *gone))

    async def _after_git(self, shared: Coordination, who: Caller, event: ToolEnded) -> None:
        """What the session wrote is done once git has it."""
        from ...coordinate import claims, git, stash

        await self._settle(shared, who)
        reached: dict[str, list[str]] = {}
        for step in git.read_steps(event.tool_input.command or "", event.cwd or ""):
            tree = tree_of(step.folder)
            if step.verb not in ("stash", "add"):
                reached.setdefault(tree, []).extend(git.places(step, tree))
        for tree, places in reached.items():
            own = await shared.read(claims.own_files, who, tree, places)
            named = own if len(own) <= MOST_NAMED else ()
            status = await changed_files(tree, *named) if own else None
            clean = [] if status is None else [path for path in own if path not in status]
            owned = await shared.read(stash.owners, who.project, tree)
            committed = "" if _session(who) in owned else who.who
            await self._forget_clean(shared, who, tree, clean, committed)

    async def _settle(self, shared: Coordination, who: Caller) -> None:
        """What the session has stashed is its own, though its last call was lost."""
        from ...coordinate import stash

        if await shared.read(stash.is_begun, who.project, _session(who)):
            await shared.change(who, lambda change: stash.settle(change, _session(who)))

    async def _watch(self, shared: Coordination, who: Caller, tool_use: str) -> None:
        """Remember how the files of others are before a command that may write them."""
        from ...coordinate import claims

        if theirs := await shared.read(claims.beside, who, "", (), True, MOST_WATCHED):
            self._watched[who.ident, tool_use] = {path: _stamp(path) for path in theirs}
            _shrink(self._watched)

    async def _written(self, shared: Coordination, who: Caller, tool_use: str) -> list[str]:
        """Tell both of the files of others that changed while the command ran."""
        from ...coordinate import claims
        from ...coordinate.messages import post

        before = self._watched.pop((who.ident, tool_use), {})
        changed = [path for path, stamp in before.items() if _stamp(path) != stamp]
        found = await shared.read(claims.beside, who, "", changed) if changed else {}
        if not found:
            return []

        def tell(change: Any) -> None:
            for path, name in found.items():
                body = f"{path} changed while {who.name} ran a command: look at it again."
                post(change, [name], "Your file changed", body)

        await shared.change(who, tell)
        named = ", ".join(f"{path} ({name})" for path, name in found.items())
        note = f"While your command ran, files that others work on changed: {named}. They are told."
        return [in_prose(note)]


def _session(who: Caller) -> str:
    return who.ident.partition("/")[0]


def _owner(asks: Principal) -> str:
    """What begins the names of a key's sessions, and no others'."""
    return f"{asks.name}:" if asks.keyed else ""


def caller_of(event: Event, project: str) -> Caller:
    """Who the hook says it is: the session, or one of its agents; with a key, one of that key's."""
    from ...coordinate.caller import Caller

    asks, kind = caller.get(), event.agent_type or "claude"
    session, agent = (
        STRANGE.sub("-", each or "").replace("/", "-")
        for each in (event.session_id, event.agent_id)
    )
    name = STRANGE.sub("-", f"{kind}-{(agent or session)[:8]}")
    return Caller(
        f"{asks.name}/{name}" if asks.keyed else name,
        ident=f"{_owner(asks)}{session}/{agent}",
        project=project,
        scope="report",
        role=event.agent_type or "",
        tree=tree_of(event.cwd or ""),
        tool=getattr(event, "tool_name", "") or "",
        kind=asks.kind if asks.keyed else "",
        verified=asks.keyed,
        owner=owner_of(asks),
    )


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _shrink(table: dict[Any, Any]) -> None:
    while len(table) > MOST_KEPT:
        del table[next(iter(table))]
