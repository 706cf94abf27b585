"""Checks the server's certificate, and trusts that one alone. Loaded only where there is one."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ..errors import StartFailed

if TYPE_CHECKING:
    from ..config import Door


def check_certificate(door: Door) -> None:
    """Raises StartFailed when the server could not prove who it is."""
    try:
        for path in (door.tls_cert, door.tls_key):
            open(path, "rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            door.tls_cert, door.tls_key, password=_refuse
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if named := getattr(error, "filename", None):
            reason = f"{named}: {reason}"
        cure = (
            "Name a PEM certificate with --tls-cert and its key, without password, with --tls-key."
        )
        raise StartFailed(f"The certificate cannot be used: {reason}.", cure) from None


def trusting(certificate: str) -> ssl.SSLContext:
    """A client that takes this one certificate and no other, whatever name stands in it.

    Raises OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context


def _refuse() -> str:
    raise ValueError("its key has a password")
