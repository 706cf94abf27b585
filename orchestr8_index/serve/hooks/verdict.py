"""Reads a task's result from its agent's last message, as no field of an event has it.

A line "Result: success" (or failure, or partial) decides. Without one, only the first and the last
sentence are read: a word of completion without a word of doubt is a success; the statement that the
task could not be done is a failure. All else is partial, which does not change the ranking.
"""

from __future__ import annotations

import re

from ...records import Result

READ = 20_000  # characters that are read at either end of a message
_STATED = re.compile(
    r"^[^\w\n]*result[^\w\n]+(success|failure|partial)\w*[^\w\n]*$", re.IGNORECASE | re.MULTILINE
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_DONE = re.compile(
    r"\b(done|complete[ds]?|finished|fixed|implemented|resolved|solved|succeed(s|ed)"
    r"|successful(ly)?|(everything|tests?|checks?) (now )?pass(es|ed)?)\b",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(not|no|never|without|un(able|clear|resolved|finished)|cannot|fail\w*|errors?|block(ed|er)"
    r"|partial\w*|incomplete|almost|nearly|partly|remain\w*|todo|however|but|except|unfortunately"
    r"|stuck|should|would|could|might|may|if|once|until|before|will|timed out)\b|n['’]t\b|\?",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(
    r"\b(i|we) ((was|were|am|are) (un|not )able to"
    r"|(could not|couldn['’]t|cannot|can['’]t|failed to)"
    r" (complete|finish|do|fix|solve|resolve|implement|find|make|get))\b"
    r"|\b(i|we) (gave up|have failed)\b|\bthe task (has )?failed\b",
    re.IGNORECASE,
)


def read_verdict(message: str) -> Result:
    """The result of a task, by its agent's last message; `partial` if that does not say."""
    message = message if len(message) <= 2 * READ else f"{message[:READ]}\n{message[-READ:]}"
    if stated := _STATED.findall(message):
        return stated[-1].lower()  # type: ignore[no-any-return]
    sentences = [each for part in _SENTENCE.split(message) if (each := part.strip())]
    if not sentences:
        return "partial"
    ends = " ".join(dict.fromkeys((sentences[0], sentences[-1])))
    if _GAVE_UP.search(ends):
        return "failure"
    return "success" if _DONE.search(ends) and not _DOUBT.search(ends) else "partial"
