"""What would people ask this entry for? The requests that its own author wrote down as examples."""

from __future__ import annotations

import re

from ..text import clean

SHORTEST, LONGEST = 15, 300
_PATTERNS = (
    re.compile(r"\buser:\s*[\"“']([^\"”]{15,300})[\"”']", re.IGNORECASE),
    re.compile(r"^[ \t]*[-*]\s*[\"“]([^\"”\n]{15,300})[\"”]\s*$", re.MULTILINE),
    re.compile(
        r"\bwhen (?:the )?users? (?:asks?|says?|wants?)(?: to)?[:,]?\s*[\"“]([^\"”]{15,300})[\"”]"
    ),
)


def examples_of(text: str, name: str) -> list[str]:
    """Distinct requests in the order of the text, without those that name the entry itself."""
    found: dict[str, None] = {}
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            said = clean(match[1])
            if SHORTEST <= len(said) <= LONGEST and name.casefold() not in said.casefold():
                found[said] = None
    return list(found)
