"""What an agent works for, as its host tells it: the task it was given, else its user's prompt.

It stands beside the files that the agent claims, where others read it: on one line, cut, and
without keys and home folders.
"""

from __future__ import annotations

from ...fit import in_prose
from ...memo import Newest
from ...redact import redact
from ...text import cut
from .delegations import DEFAULT_AGENT, TOOLS
from .payloads import Prompted, ToolEnded, ToolResponse, ToolStarting

LONGEST, FEWEST_WORDS, MOST_KEPT = 120, 3, 1000
READ = 2000  # characters of a prompt that are looked at


class Purposes:
    """By session, by task that waits for its agent, and by agent; the newest MOST_KEPT of each."""

    def __init__(self) -> None:
        self._sessions: Newest[str, str] = Newest(MOST_KEPT)
        self._tasks: Newest[tuple[str, str], tuple[str, str]] = Newest(MOST_KEPT)
        self._agents: Newest[str, str] = Newest(MOST_KEPT)

    def prompted(self, session: str, event: Prompted) -> None:
        """A few words, as "go on", do not end what was asked before."""
        text = _fit(event.prompt or "")
        if len(text.split()) >= FEWEST_WORDS or session not in self._sessions:
            self._sessions[session] = text

    def started(self, session: str, event: ToolStarting) -> None:
        """A task is given to an agent that is not there yet."""
        asked = event.tool_input
        if event.tool_name in TOOLS and event.tool_use_id:
            kind = asked.subagent_type or DEFAULT_AGENT
            text = _fit(asked.description or asked.prompt or "")
            self._tasks[session, event.tool_use_id] = (kind, text)

    def ended(self, session: str, event: ToolEnded) -> None:
        """The task is done, or given to an agent that works on in the background."""
        if event.tool_name not in TOOLS:
            return
        _, text = self._tasks.pop((session, event.tool_use_id or ""), ("", ""))
        answer = event.tool_response
        if isinstance(answer, ToolResponse) and answer.status == "async_launched" and text:
            self._agents[f"{session}/{answer.agent_id}"] = text

    def of(self, ident: str, kind: str) -> str:
        """That of SESSION/AGENT; the session's where several tasks may be the agent's."""
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
