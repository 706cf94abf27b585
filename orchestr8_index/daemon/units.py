"""What does the machine's own service manager need to know? Unit files, with absolute paths."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from ..config import Settings
from .command import arguments_of, own_command

NAME, LABEL = "orchestr8-index", "dev.orchestr8.index"
MEMORY_MAX = "400M"  # the server's own limit is far below; the build's child counts here too


def command(settings: Settings) -> list[str]:
    """The server in the foreground: whoever manages it restarts it, so no watcher of ours."""
    return own_command("serve", *arguments_of(settings))


def systemd(settings: Settings, user: str = "") -> str:
    """A unit of the user's own manager; with `user` one of the system that runs as that user."""
    target = "multi-user.target" if user else "default.target"
    return f"""[Unit]
Description=Orchestr8 Index: which agent, skill or command does this task?
After=network.target
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
{f"User={user}" if user else "# runs as you: put it into ~/.config/systemd/user/"}
ExecStart={" ".join(map(_systemd_word, command(settings)))}
Restart=on-failure
RestartSec=1
# 1 and 2 say what has to be mended first: trying again would not help
RestartPreventExitStatus=1 2
TimeoutStartSec=300
TimeoutStopSec=15
UMask=0077
MemoryMax={MEMORY_MAX}
TasksMax=64
# a build that dies for want of memory must not take the server along
OOMPolicy=continue
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
{_system_only(settings) if user else ""}
[Install]
WantedBy={target}
"""


def _system_only(settings: Settings) -> str:
    """What needs the system's manager: the files of the machine are not to be written."""
    return f"""ProtectSystem=strict
ReadWritePaths={_systemd_word(str(settings.data_dir))}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
PrivateDevices=yes
CapabilityBoundingSet=
"""


def _systemd_word(word: str) -> str:
    """Quoted, and without systemd's own expansions of % and $."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if not word or set(word) & set(" \t\"';\\") else plain


def launchd(settings: Settings) -> str:
    """A property list of the user's own agent: started at login, again after a crash."""
    import plistlib

    said = str(settings.data_dir / "logs" / "launchd.stderr")
    told = {
        "Label": LABEL,
        "ProgramArguments": command(settings),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": said,
        "StandardErrorPath": said,
    }
    return plistlib.dumps(told, sort_keys=False).decode()


def windows(settings: Settings) -> str:
    """A task for the Task Scheduler: started at logon, again after a failure."""
    program, *arguments = command(settings)
    return f"""<?xml version="1.0"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Orchestr8 Index</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Principals><Principal id="Author">
    <LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel>
  </Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>10</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author"><Exec>
    <Command>{escape(program)}</Command>
    <Arguments>{escape(_windows_line(arguments))}</Arguments>
  </Exec></Actions>
</Task>
"""


def _windows_line(arguments: Sequence[str]) -> str:
    import subprocess

    return subprocess.list2cmdline(arguments)
