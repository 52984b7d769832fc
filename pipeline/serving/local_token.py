"""The local token: proof that a caller runs as the server's user, on the server's machine.

A server that listens on the loopback writes it to a file that only its user can read, named by the port.
Whoever reaches the port by a proxy, a forwarded port or a browser's page cannot read that file.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace.storage import locate_state_folder, make_state_folder, write_bytes


def locate_local_token(port: int) -> Path:
    """Return the file of the token of the server that listens on a port of the loopback."""
    return locate_state_folder("local") / f"{port}.token"


def read_local_token(url: str) -> str | None:
    """Return the token of the server at a URL; None if that is another machine or the file is missing."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        if not is_loopback(parts.hostname or ""):
            return None
        return locate_local_token(port).read_text("ascii") or None
    except (OSError, ValueError, KeyError):
        return None


@contextlib.contextmanager
def publish_local_token(port: int, token: str) -> Generator[None, None, None]:
    """Keep a token in the file of a port while the context lasts.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    make_state_folder("local")
    path = locate_local_token(port)
    try:
        write_bytes(path, token.encode(), 0o600)
    except OSError:
        raise WorkspaceError(f"cannot write {path}; XDG_STATE_HOME names another place") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def is_loopback(host: str) -> bool:
    """Return True for the names and addresses that lead to this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
