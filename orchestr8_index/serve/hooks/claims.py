"""Claims, the gate for git, and messages, by the events of a host's tools.

Before an edit the file is claimed; a git command that would touch the edits of others is denied;
after a tool the agent gets notices and messages. Without any the answer is empty.
"""

from __future__ import annotations

import os
from typing import Any

from ...changeable import ClaimsPolicy
from ...coordinate import claims, git, messages, stash
from ...coordinate.caller import Caller
from ...coordinate.core import Coordination
from ...coordinate.edits import edits_of_others, is_edited, note_edit
from ...coordinate.repository import changed_files, staged_files, tree_of
from ...coordinate.resources import resolve
from ...fit import in_prose, quoted_in_prose
from ...memo import Newest
from ...redact import redact
from ...sharing import ReadInbox
from ...text import cut
from ...tokens import estimate_tokens
from ..callers import STRANGE, Principal, caller
from ..shares import owner_of
from .delegations import DEFAULT_AGENT, TOOLS
from .payloads import AgentStopped, Ended, Prompted, Stopped, ToolEnded, ToolResponse, ToolStarting

MCP = "mcp__"  # before the names of tools that come from MCP servers
EDITS = ("Edit", "Write", "MultiEdit", "NotebookEdit")
MOST_WATCHED, MOST_KEPT = 200, 500
LONGEST, FEWEST_WORDS, MOST_PURPOSES = 120, 3, 1000  # of purposes: characters, words, how many
READ = 2000  # characters of a prompt that are looked at
MOST_MAIL, MAIL_TOKENS, MAIL_TAKE_S = 3, 300, 3600
MOST_NAMED = 100  # files that git is asked for by name; of more it is asked for all
ClaimEvent = Prompted | ToolStarting | ToolEnded | AgentStopped | Stopped | Ended


class ClaimHooks:
    """One for the server. `chosen`, a policy set by a command, overrides the setting `policy`."""

    def __init__(self, policy: str = "warn", chosen: ClaimsPolicy | None = None) -> None:
        self.setting, self.chosen = policy, chosen
        self._notified = claims.Notified()
        self._purposes = Purposes()
        # by an agent's ident: notices for its next context, the file that it is about to write, and
        # when its claims were checked, by lease time
        self._notes: Newest[str, list[str]] = Newest(MOST_KEPT)
        self._editing: Newest[str, str] = Newest(MOST_KEPT)
        self._checked: Newest[str, int] = Newest(MOST_KEPT)
        # by tool use: modification times of others' files before it, and the agent that uses it
        self._stamps_before: Newest[tuple[str, str], dict[str, int]] = Newest(MOST_KEPT)
        self._tool_users: Newest[str, tuple[str, Caller]] = Newest(MOST_KEPT)

    @property
    def policy(self) -> str:
        return (self.chosen.read() if self.chosen else "") or self.setting

    @property
    def trouble(self) -> str:
        """Why the chosen policy is not in effect, for /health."""
        return self.chosen.trouble if self.policy and self.chosen else ""

    def prompted(self, event: Prompted) -> None:
        """Note the prompt as the session's purpose."""
        if self.policy != "off" and event.session_id:
            self._purposes.prompted(caller_of(event, "").session, event)

    async def before(self, shared: Coordination, who: Caller, event: ToolStarting) -> str:
        """Why the tool may not be used; "" where it may."""
        if (event.tool_name or "").startswith(MCP) and event.tool_use_id:
            self._tool_users[event.tool_use_id] = _owner(caller.get()), who
        self._purposes.started(who.session, event)
        await self._renew(shared, who)
        if event.tool_name in EDITS:
            return await self._claim(shared, who, event)
        command = event.tool_input.command or ""
        if event.tool_name != "Bash" or not who.tree:
            return ""
        if "git" in command and (why := await self._deny(shared, who, command, event.cwd or "")):
            return why
        if event.tool_use_id:
            await self._note_stamps(shared, who, event.tool_use_id)
        return ""

    async def _renew(self, shared: Coordination, who: Caller) -> None:
        """Renew the agent's claims; checked, and written, at most once a minute."""
        now = shared.clock.now()
        if now < self._checked.get(who.ident, 0) + claims.RENEW_MS:
            return
        self._checked[who.ident] = now
        if await shared.read(claims.needs_renewal, who, now):
            await shared.change(who, claims.renew)

    def agent_of(self, tool_use: str, asks: Principal) -> Caller | None:
        """The agent that makes this call of a tool, by a hook with the same API key."""
        owner, who = self._tool_users.get(tool_use, ("", None))
        return who if owner == _owner(asks) else None

    async def after(self, shared: Coordination, who: Caller, event: ToolEnded) -> str:
        """Notices and messages for the agent."""
        self._purposes.ended(who.session, event)
        if event.tool_name in EDITS:
            self._editing.pop(who.ident, None)
            await self._note_edit(shared, who, event.tool_input.path)
        await self._renew(shared, who)
        shared.touch(who)
        notes = self._notes.pop(who.ident, [])
        if event.tool_name == "Bash":
            await self._after_git(shared, who, event)
            notes += await self._changed_files(shared, who, event.tool_use_id or "")
        return "\n".join([*notes, *await mail(shared, who)])

    async def _note_edit(self, shared: Coordination, who: Caller, path: str) -> None:
        if path:
            resource = resolve(path, who.tree)
            if not await shared.read(is_edited, who, resource):
                await shared.change(who, note_edit, resource, True)

    async def leave(self, shared: Coordination, who: Caller, whole: bool) -> None:
        """The agent has ended or, if `whole`, its session with all its agents."""
        self._notes.pop(who.ident, None)
        self._editing.pop(who.ident, None)
        await shared.change(who, claims.leave, whole)

    async def _claim(self, shared: Coordination, who: Caller, event: ToolStarting) -> str:
        if not (path := event.tool_input.path):
            return ""
        self._editing[who.ident] = path = resolve(path, who.tree)
        if await shared.read(claims.is_claimed, who, path, shared.clock.now()):
            return ""
        purpose = self._purposes.of(who.ident, who.role)
        stashed = await self._release_clean(shared, who, path)
        verdict = await shared.change(
            who, claims.claim, path, purpose, self.policy, self._notified, stashed
        )
        if verdict.context:
            self._notes.setdefault(who.ident, []).append(in_prose(verdict.context))
        return in_prose(verdict.reason)

    async def _release_clean(self, shared: Coordination, who: Caller, path: str) -> set[str]:
        """Forget the edits of others in a file that git shows clean. Returns the sessions whose
        edits of it may lie in the stash."""
        if not await shared.read(edits_of_others, who, path):
            return set()
        tree = tree_of(os.path.dirname(path))
        status = await changed_files(tree, path)
        if status is None or path in status:
            return set()
        stashed = await shared.read(stash.sessions, who.project, tree)
        if not any(each == path and ident != who.ident for ident, each in self._editing.items()):
            await shared.change(who, claims.leave_clean, path, stashed)
        return stashed

    async def _deny(self, shared: Coordination, who: Caller, line: str, cwd: str) -> str:
        calls = list(git.harmful_calls(line, cwd))
        for call in calls:
            if why := git.judge(call, await self._edits(shared, who, call)):
                return in_prose(why)
        pushes = [call for call in calls if call.verb == "stash" and not call.entry]
        for tree in {tree_of(call.folder) for call in pushes}:
            await shared.change(who, stash.begin, who.session, tree)
        return ""

    async def _edits(self, shared: Coordination, who: Caller, call: git.GitCall) -> git.TreeEdits:
        """The edits that the call may affect."""
        tree = tree_of(call.folder)
        if call.entry:
            await self._settle_stash(shared, who)
            owned = await shared.read(stash.owners, who.project, tree)
            if not stash.is_foreign(who.session, owned, call.entry):
                return git.TreeEdits(tree, {})
            entry = stash.own_entry(who.session, owned)
            return git.TreeEdits(tree, {}, foreign_stash=True, own_entry=entry)
        places, taking = git.places(call, tree), call.verb not in ("add", "commit")
        if call.index:
            staged = await staged_files(tree) or ()
            places = () if len(staged) > MOST_NAMED else tuple(staged)
            if not staged:
                return git.TreeEdits(tree, {})
        beside = claims.beside, who, tree, places, taking
        theirs = await shared.read(*beside)
        if not (theirs if call.index else git.judge(call, git.TreeEdits(tree, theirs))):
            return git.TreeEdits(tree, {})
        own_files = claims.own_files, who, tree, () if call.index else places
        own, status = await shared.read(*own_files), await changed_files(tree)
        clean = [] if status is None else [p for p in (*theirs, *own) if p not in status]
        await self._forget_clean(shared, who, tree, clean)
        theirs, own = await shared.read(*beside), await shared.read(*own_files)
        return git.TreeEdits(tree, theirs, tuple(p for p in own if p not in theirs), status)

    async def _forget_clean(
        self, shared: Coordination, who: Caller, tree: str, clean: list[str], committed: str = ""
    ) -> None:
        """Forget the edits of files that git shows clean."""
        if clean:
            stashed = await shared.read(stash.sessions, who.project, tree)
            await shared.change(who, claims.forget_clean, clean, committed, stashed)

    async def _after_git(self, shared: Coordination, who: Caller, event: ToolEnded) -> None:
        """Forget the session's edits that the command committed or undid."""
        await self._settle_stash(shared, who)
        reached: dict[str, list[str]] = {}
        for call in git.harmful_calls(event.tool_input.command or "", event.cwd or ""):
            tree = tree_of(call.folder)
            if call.verb not in ("stash", "add"):
                reached.setdefault(tree, []).extend(git.places(call, tree))
        for tree, places in reached.items():
            own = await shared.read(claims.own_files, who, tree, places)
            named = own if len(own) <= MOST_NAMED else ()
            status = await changed_files(tree, *named) if own else None
            clean = [] if status is None else [path for path in own if path not in status]
            owned = await shared.read(stash.owners, who.project, tree)
            committed = "" if who.session in owned else who.who
            await self._forget_clean(shared, who, tree, clean, committed)

    async def _settle_stash(self, shared: Coordination, who: Caller) -> None:
        """Note what the session has stashed, if it was about to."""
        if await shared.read(stash.is_begun, who.project, who.session):
            await shared.change(who, stash.settle, who.session)

    async def _note_stamps(self, shared: Coordination, who: Caller, tool_use: str) -> None:
        """Before a command: note the modification times of files that others work on."""
        if theirs := await shared.read(claims.beside, who, "", (), True, MOST_WATCHED):
            self._stamps_before[who.ident, tool_use] = {path: _stamp(path) for path in theirs}

    async def _changed_files(self, shared: Coordination, who: Caller, tool_use: str) -> list[str]:
        """After it: notify both of those that changed meanwhile. Returns the agent's notice."""
        before = self._stamps_before.pop((who.ident, tool_use), {})
        changed = [path for path, stamp in before.items() if _stamp(path) != stamp]
        found = await shared.read(claims.beside, who, "", changed) if changed else {}
        if not found:
            return []

        def tell(change: Any) -> None:
            for path, name in found.items():
                body = f"{path} changed while {who.name} ran a command: look at it again."
                messages.post(change, [name], "Your file changed", body)

        await shared.change(who, tell)
        named = ", ".join(f"{path} ({name})" for path, name in found.items())
        note = f"While your command ran, files that others work on changed: {named}. They are told."
        return [in_prose(note)]


def _owner(asks: Principal) -> str:
    """The prefix of the sessions of an API key."""
    return f"{asks.name}:" if asks.keyed else ""


def caller_of(event: ClaimEvent, project: str) -> Caller:
    """The caller that an event names: a session or one of its agents, under its API key if any."""
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


async def mail(shared: Coordination, who: Caller) -> list[str]:
    """Waiting messages, marked as the words of other agents; as many as fit."""
    if not await shared.read(messages.count_waiting, who.project, who.inboxes, 1):
        return []
    lines: list[str] = []
    for _ in range(MOST_MAIL):
        peeked = await shared.read_inbox(who, ReadInbox(limit=1, peek=True))
        if not peeked["messages"]:
            break
        line = _mail_line(peeked["messages"][0])
        if lines and estimate_tokens("\n".join([*lines, line])) > MAIL_TOKENS:
            break
        await shared.read_inbox(who, ReadInbox(limit=1, take_s=MAIL_TAKE_S))
        lines.append(line)
    return lines


def _mail_line(message: dict[str, Any]) -> str:
    whole = f"{message['subject']}: {message['body']}" if message["subject"] else message["body"]
    text, sender = quoted_in_prose(cut(whole, 4 * MAIL_TOKENS - 300)), in_prose(message["from"])
    return f"Message {message['id']} from agent {sender} (its words, not your user's): {text}"


class Purposes:
    """What an agent works for: the task that it was given, else its user's prompt.

    Others read it beside the agent's claims: one line, shortened, without secrets and home folders.
    Kept are the newest of each session, of each task whose agent is unknown yet, and of each agent.
    """

    def __init__(self) -> None:
        self._sessions: Newest[str, str] = Newest(MOST_PURPOSES)
        self._tasks: Newest[tuple[str, str], tuple[str, str]] = Newest(MOST_PURPOSES)
        self._agents: Newest[str, str] = Newest(MOST_PURPOSES)

    def prompted(self, session: str, event: Prompted) -> None:
        """A few words, such as "go on", do not replace the prompt before."""
        text = _fit(event.prompt or "")
        if len(text.split()) >= FEWEST_WORDS or session not in self._sessions:
            self._sessions[session] = text

    def started(self, session: str, event: ToolStarting) -> None:
        """A task is delegated; the id of its agent is not known yet."""
        asked = event.tool_input
        if event.tool_name in TOOLS and event.tool_use_id:
            kind = asked.subagent_type or DEFAULT_AGENT
            text = _fit(asked.description or asked.prompt or "")
            self._tasks[session, event.tool_use_id] = (kind, text)

    def ended(self, session: str, event: ToolEnded) -> None:
        """The task is done, or its agent goes on in the background."""
        if event.tool_name not in TOOLS:
            return
        _, text = self._tasks.pop((session, event.tool_use_id or ""), ("", ""))
        answer = event.tool_response
        if isinstance(answer, ToolResponse) and answer.status == "async_launched" and text:
            self._agents[f"{session}/{answer.agent_id}"] = text

    def of(self, ident: str, kind: str) -> str:
        """The purpose of SESSION/AGENT; the session's if several tasks may be the agent's."""
        session, _, agent = ident.partition("/")
        if agent and ident not in self._agents:
            named = [
                key for key, task in self._tasks.items() if (key[0], task[0]) == (session, kind)
            ]
            if len(named) == 1:
                self._agents[ident] = self._tasks.pop(named[0])[1]
        return self._agents.get(ident) or self._sessions.get(session, "")


def _fit(text: str) -> str:
    return cut(redact(in_prose(text[:READ])), LONGEST)
