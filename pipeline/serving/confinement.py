"""Confinement of the process that serves a bundle, before it loads anything.

Landlock confines the thread that asks for it, and those that this one starts. Libraries start threads as soon
as they are imported, so this module imports none.
"""

from __future__ import annotations

import logging
from pathlib import Path

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.local_token import is_loopback
from lexveil.pipeline.serving.server.sandbox import confine_server
from lexveil.pipeline.settings import EncryptedSettings
from lexveil.pipeline.workspace.storage import make_state_folder

log = logging.getLogger("lexveil.serving")

_DATABASE_FILES = ("sslrootcert", "sslcert", "sslkey", "passfile")


def confine(bundle: Path, state: Path, settings: EncryptedSettings) -> None:
    """Confine this process irrevocably to what `serve_bundle` needs: it reads and writes no other folder.

    Raises:
        EndpointError: there is no bundle, or the folder of the state cannot be used.
    """
    if not bundle.is_dir():
        raise EndpointError(f"there is no serving bundle at {bundle}; `lexveil serve export` writes one")
    own = [state]
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise EndpointError("the endpoint's folder cannot be used") from None
    if is_loopback(settings.host):
        own.append(make_state_folder("local"))  # of the local token
    tls = (settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
    database = _list_database_files(settings)
    missing = confine_server([bundle, *database, *(path for path in tls if path is not None)], own)
    if missing:
        log.warning("this kernel does not confine the server: %s", ", ".join(missing))


def _list_database_files(settings: EncryptedSettings) -> list[Path]:
    """Return the files that the URL of the replicas' database names: certificates and keys of TLS."""
    if settings.state_url is None:
        return []
    from sqlalchemy import exc, make_url

    try:  # as whoever connects reads it: a password may hold any character
        query = make_url(settings.state_url).normalized_query
    except (exc.ArgumentError, ValueError):
        return []  # it is refused when it is opened
    named = [Path(name) for option in _DATABASE_FILES for name in query.get(option, ())]
    # They are opened at every connection. Kubernetes exchanges the files of a map by what links lead to.
    return [path.parent if path.is_symlink() else path for path in named]
