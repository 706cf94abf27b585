"""Tells systemd that the server is ready or stopping: one datagram to its socket."""

from __future__ import annotations

import contextlib
import socket


def notify(address: str, **facts: str) -> bool:
    """Send `READY=1`, `STATUS=…`, `STOPPING=1`; whether it was sent. Nothing without an address."""
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    place = "\0" + address[1:] if address.startswith("@") else address
    told = "\n".join(f"{name}={' '.join(value.split())[:500]}" for name, value in facts.items())
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(told.encode(), place)
            return True
    return False
