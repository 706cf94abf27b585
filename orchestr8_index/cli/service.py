"""service: the server as a service of the machine. Prints the unit file, and installs nothing."""

from __future__ import annotations

import click
import msgspec

from ..config import Settings
from . import show
from .options import listening, with_roots_of_server

MANAGERS = ("systemd", "launchd", "windows")


@click.command()
@click.argument("manager", type=click.Choice(MANAGERS))
@click.option("--system-user", metavar="NAME", help="systemd: a system unit that runs as NAME.")
@listening
def service(settings: Settings, manager: str, system_user: str | None) -> None:
    """Print the unit file that runs the server as a service, with absolute paths.

    For a server that others may reach name --host and the rest here, and make its keys first, with
    `key add` on the same data directory.

    \b
    Linux, for yourself:
      orchestr8-index service systemd --root ~/my-plugins \\
        > ~/.config/systemd/user/orchestr8-index.service
      systemctl --user daemon-reload && systemctl --user enable --now orchestr8-index
      loginctl enable-linger               (to run without being logged in)

    \b
    Linux, for the machine:
      orchestr8-index service systemd --system-user mcp --data-dir /var/lib/orchestr8 \\
        --root /srv/plugins | sudo tee /etc/systemd/system/orchestr8-index.service
      sudo systemctl daemon-reload && sudo systemctl enable --now orchestr8-index

    \b
    macOS:
      orchestr8-index service launchd > ~/Library/LaunchAgents/dev.orchestr8.index.plist
      launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/dev.orchestr8.index.plist

    \b
    Windows (untested there):
      orchestr8-index service windows > orchestr8-index.xml
      schtasks /create /tn orchestr8-index /xml orchestr8-index.xml
    """
    from ..daemon import units
    from ..daemon.supervise import running_port

    if system_user and manager != "systemd":
        raise click.UsageError("--system-user is for systemd.")
    show.strangers(settings)
    settings = with_roots_of_server(settings)
    if not settings.explicit_port and (port := running_port(settings)):
        settings = msgspec.structs.replace(settings, port=port)
    if manager == "systemd":
        click.echo(units.systemd(settings, system_user or ""), nl=False)
    else:
        click.echo(getattr(units, manager)(settings), nl=False)
