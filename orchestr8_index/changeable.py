"""Which settings may change while servers run: values that all of a project's servers follow.

Each is a shared value below PREFIX, so that its history and who changed it are kept with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .config import Limits, Settings
from .environment import whole_number
from .errors import BadSetting
from .private import make_folder, read_private, write_private
from .variables import Variable, variables

PREFIX = "server/settings/"  # written by admins alone
_NAMES = ("log_level", "cache_ttl", "claims", "rate", "max_body", "max_running")
CHANGEABLE: dict[str, Variable] = {
    each.field: each for group in (Settings, Limits) for each in variables(group)
    if each.field in _NAMES
}  # fmt: skip


def check_name(name: str) -> Variable:
    """The setting of that name. Raises BadSetting where it cannot change."""
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


# --- what is chosen for claims of one data directory -------------------------------------------

POLICIES = CHANGEABLE["claims"].one_of
CLAIMS_FILE = "claims"
TROUBLE = (
    "The policy for edits of claimed files cannot be read, and is not applied: choose it again "
    f"with `orchestr8-index claims {'|'.join(POLICIES)}`."
)


class ClaimsPolicy:
    """The policy in a file of the data directory: the command line writes it, and the server reads
    it at each use. It is "" where none was chosen."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / CLAIMS_FILE
        self._stamp: tuple[int, int] | None = None
        self._word = ""
        self.trouble = ""

    def read(self) -> str:
        """The policy, or ""; sets `trouble` if there is a file without a valid one."""
        try:
            status = self.path.stat()
            stamp = status.st_mtime_ns, status.st_ino
            if stamp != self._stamp:
                text = read_private(self.path, 100).decode("utf-8", "replace").strip()
                self._stamp, self._word = stamp, text if text in POLICIES else ""
                self.trouble = "" if self._word else TROUBLE
        except FileNotFoundError:
            self._stamp, self._word, self.trouble = None, "", ""
        except OSError:
            self._stamp, self._word, self.trouble = None, "", TROUBLE
        return self._word

    def write(self, word: str) -> None:
        """Set the policy. Raises OSError."""
        make_folder(self.path.parent)
        write_private(self.path, f"{word}\n".encode())
