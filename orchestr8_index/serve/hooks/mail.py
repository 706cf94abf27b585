"""Messages that wait for an agent, in the context of its next hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...fit import in_prose, quoted_in_prose
from ...text import cut
from ...tokens import estimate_tokens

if TYPE_CHECKING:
    from ...coordinate.caller import Caller
    from ...coordinate.core import Coordination

MOST_MAIL, MAIL_TOKENS, MAIL_TAKE_S = 3, 300, 3600


async def mail(shared: Coordination, who: Caller) -> list[str]:
    """Messages that wait, as another agent's words; those that do not fit wait on."""
    from ...coordinate import messages
    from ...sharing import ReadInbox

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
    said = f"{message['subject']}: {message['body']}" if message["subject"] else message["body"]
    text, sender = quoted_in_prose(cut(said, 4 * MAIL_TOKENS - 300)), in_prose(message["from"])
    return f"Message {message['id']} from agent {sender} (its words, not your user's): {text}"
