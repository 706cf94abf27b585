"""Which settings may change while servers run: values that all of a project's servers follow.

Each is a shared value below PREFIX, so that its history and who changed it are kept with it.
"""

from __future__ import annotations

from typing import Any

from .config import Limits, Settings
from .environment import whole_number
from .errors import BadSetting
from .variables import Variable, variables

PREFIX = "server/settings/"  # written by admins alone
_NAMES = ("log_level", "cache_ttl", "claims", "rate", "max_body", "max_running")
CHANGEABLE: dict[str, Variable] = {
    each.field: each for group in (Settings, Limits) for each in variables(group)
    if each.field in _NAMES
}  # fmt: skip


def check_name(name: str) -> Variable:
    """Raises BadSetting where it cannot change."""
    if name not in CHANGEABLE:
        names = ", ".join(sorted(CHANGEABLE))
        raise BadSetting(f"{name} cannot change while servers run.", f"These can: {names}.")
    return CHANGEABLE[name]


def check_setting(name: str, value: Any) -> Any:
    """The value as the setting takes it: a number, or one of its words. Raises BadSetting."""
    setting = check_name(name)
    if setting.one_of:
        if value not in setting.one_of:
            raise BadSetting(f"{name} is one of {', '.join(setting.one_of)}.", "Say one of them.")
        return value
    number = value if type(value) is int else whole_number(value) if isinstance(value, str) else -1
    if not setting.low <= number <= setting.high:
        problem = f"{name} is a whole number from {setting.low} to {setting.high}."
        raise BadSetting(problem, "Say such a number.")
    return number
