"""The endpoint: it serves a model's head from a serving bundle, and issues API keys."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.access import ApiKeys, KeyTable, KeyUses
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.errors import DatabaseAwayError, RefusalError
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.files import TABLES, KeyFile, hold_folder
from lexveil.pipeline.serving.server.leakage import read_variations
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.serving.server.quotas import LocalUsages, QuotaLimits, Quotas, Usages
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState, open_log
from lexveil.pipeline.serving.server.tables import SqliteTables, StateTables
from lexveil.pipeline.settings import MIB, EncryptedSettings, TenantSettings

if TYPE_CHECKING:
    from lexveil.pipeline.serving.server.replicas import SharedState
    from lexveil.pipeline.workspace.audit_log import AuditLog
    from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger("lexveil.serving")

_PAUSE_SECONDS, _LOOK_SECONDS = 2.0, 0.1  # between attempts to reach the database; between looks at signals
_CPU_SECONDS = 75.0  # a minute of a worker, and a quarter for what requests cost the server itself


def serve_bundle(
    bundle: Path,
    state: Path,
    settings: EncryptedSettings,
    interrupted: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve what a bundle offers until interrupted. This needs no workspace and no master key.

    `lexveil.pipeline.serving.confinement` should confine the process first, where this is all that it is for.

    Args:
        bundle: folder of the serving bundle. Without a model in it, requests are refused until there is one.
        state: folder of the endpoint's state.
        settings: settings of the endpoint.
        interrupted: returns True once the server must stop, even before it has started.
        announce: called with the endpoint's URL once it listens.

    Raises:
        EndpointError: the address or a folder cannot be used.
    """
    listen, limits = _build_listen_options(settings), build_limits(settings)
    opened = _wait_for_state(state, settings, interrupted)
    if opened is None:
        return
    with opened.log.record("serve"):
        serve(ServingBundle(bundle), opened, listen, limits, interrupted, announce)


def _wait_for_state(
    folder: Path, settings: EncryptedSettings, interrupted: Callable[[], bool]
) -> ServerState | None:
    """Open the state once its database answers; None if interrupted first."""
    while not interrupted():
        try:
            return open_state(folder, settings)
        except DatabaseAwayError as error:
            log.error("%s; it is tried again", error)
        until = time.monotonic() + _PAUSE_SECONDS
        while time.monotonic() < until and not interrupted():
            time.sleep(_LOOK_SECONDS)
    return None


def open_state(folder: Path, settings: EncryptedSettings, *, create: bool = True) -> ServerState:
    """Open the endpoint's state, in its folder or as a replica.

    Args:
        folder: folder of the state of this server.
        settings: settings of the endpoint.
        create: make what is missing in the database.

    Raises:
        DatabaseAwayError: the database does not answer.
        EndpointError: the folder or the database cannot be used.
    """
    return ServerState(
        folder, None if settings.state_url is None else _open_shared(folder, settings, create=create)
    )


def open_log_to_read(folder: Path, settings: EncryptedSettings) -> AuditLog:
    """Open the endpoint's own log, of a folder or of all replicas, to read it; nothing is made.

    Raises:
        EndpointError: there is none, or it cannot be used.
    """
    if settings.state_url is not None:
        return open_log(folder, _open_shared(folder, settings, create=False))
    if not (folder / "log.key").is_file():
        raise EndpointError(f"{folder} is not the folder of an endpoint's state")
    return open_log(folder)


def _open_shared(folder: Path, settings: EncryptedSettings, *, create: bool) -> SharedState:
    from lexveil.pipeline.serving.server.replicas import SharedState  # loads SQLAlchemy

    assert settings.state_url is not None  # the settings have both or neither
    assert settings.state_key is not None
    return SharedState(settings.state_url, settings.state_key, folder, create=create)


def issue_api_key(state: ServerState, tenant: str, days: int | None = None) -> str:
    """Create an API key for a tenant. Only its hash is stored, so it cannot be shown again.

    Args:
        state: the endpoint's state.
        tenant: the tenant.
        days: days until the key expires; None: never.

    Raises:
        EndpointError: the tenant's name is not valid, or the state cannot be used.
    """
    with _as_endpoint_errors():
        return ApiKeys(state.api_keys).issue(tenant, days)


def revoke_api_key(state: ServerState, key_id: str) -> None:
    """Revoke an API key. A running endpoint, with all its replicas, refuses it from the next request on.

    Raises:
        EndpointError: there is no such key, or the state cannot be used.
    """
    with _as_endpoint_errors():
        ApiKeys(state.api_keys).revoke(key_id)


def list_api_keys(folder: Path, settings: EncryptedSettings) -> list[dict[str, Any]]:
    """Return a row for each API key: its tenant, when it was issued, last used and expires, and what it used.

    `slots_today` and `leakage`, the total variation of sealed answers, are the tenant's. A folder is only
    read: it may be that of a running server, or a read-only mount.

    Args:
        folder: folder of the endpoint's state.
        settings: settings of the endpoint.

    Raises:
        EndpointError: the endpoint's state cannot be used.
    """
    tables: StateTables
    usages: Usages
    keys: KeyTable
    if settings.state_url is None:
        tables = SqliteTables.read(folder / TABLES)
        usages, keys = LocalUsages(tables), KeyFile(folder)
    else:
        shared = _open_shared(folder, settings, create=False)
        tables, usages, keys = shared.tables, shared.usages, shared.api_keys
    uses, quotas = KeyUses(tables), Quotas(usages, QuotaLimits())
    with _as_endpoint_errors():
        leakage = read_variations(tables)
        return [
            {
                "id": key.key_id,
                "tenant": key.tenant,
                "issued": key.issued,
                "last_used": uses.find(key.key_id) or "never",
                "expires": key.expires or "never",
                "slots_today": quotas.count_used_today(key.tenant),
                "leakage": leakage.get(key.tenant, 0.0),
            }
            for key in ApiKeys(keys).list()
        ]


@contextmanager
def _as_endpoint_errors() -> Generator[None, None, None]:
    """Translate refusals of the state into an `EndpointError`."""
    try:
        yield
    except RefusalError as error:
        raise EndpointError(f"the endpoint's state cannot be used: {error}") from None


def locate_state(workspace: Workspace) -> Path:
    """Return the present folder of the endpoint's state; nothing is created or moved."""
    state, former = workspace.endpoint / "state", workspace.local / "endpoint"
    return former if _is_to_be_moved(former, state) else state


def _is_to_be_moved(former: Path, state: Path) -> bool:
    return (former / "signing.key").exists() and not (state / "signing.key").exists()


def prepare_folders(workspace: Workspace) -> tuple[Path, Path]:
    """Return the folders of the serving bundle and of the endpoint's state, beside a workspace's documents.

    The state that an earlier version kept beside the master key is moved, its identity last: after a crash,
    the next call moves the rest.

    Raises:
        EndpointError: they cannot be created, or a server of the earlier version still uses its folder.
    """
    folder = workspace.endpoint
    bundle, state = folder / "bundle", folder / "state"
    former = workspace.local / "endpoint"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        bundle.mkdir(exist_ok=True)
        state.mkdir(mode=0o700, exist_ok=True)
        if _is_to_be_moved(former, state):
            with hold_folder(former):
                for path in sorted(former.iterdir(), key=lambda path: path.name == "signing.key"):
                    if path not in (bundle, state) and path.name not in ("bundle", "extractors", "lock"):
                        path.rename(state / path.name)
    except OSError:
        raise EndpointError("the endpoint's folder in the workspace cannot be used") from None
    return bundle, state


def _build_listen_options(settings: EncryptedSettings) -> ListenOptions:
    return ListenOptions(
        settings.host,
        settings.port,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        client_authority=settings.tls_client_authority,
        insecure_http=settings.insecure_http,
        hosts=settings.hosts,
    )


def build_limits(settings: EncryptedSettings) -> ServerLimits:
    """Return the limits that the settings describe."""
    workers = settings.workers or max(1, len(os.sched_getaffinity(0)) - 1)
    quotas = QuotaLimits(
        settings.slots_per_minute,
        settings.slots_per_day,
        settings.requests_at_once,
        settings.cpu_seconds_per_minute or _CPU_SECONDS * workers,
        settings.bytes_per_minute,
        leakage=settings.leakage_limit,
    )
    return ServerLimits(
        sessions=SessionLimits(
            seconds=settings.session_seconds,
            per_tenant=settings.sessions_per_tenant,
            tenant_bytes=settings.key_bytes_per_tenant,
        ),
        quotas=quotas,
        tenants={name: replace(quotas, **_name_quotas(tenant)) for name, tenant in settings.tenants.items()},
        workers=WorkerLimits(
            workers=workers,
            memory_bytes=settings.worker_mib * MIB,
            request_seconds=settings.request_seconds,
            waiting=settings.waiting,
        ),
    )


def _name_quotas(tenant: TenantSettings) -> dict[str, Any]:
    """Return the tenant's settings by the names that `QuotaLimits` has for them."""
    given = tenant.model_dump(exclude_none=True)
    return {name.removesuffix("_limit"): value for name, value in given.items()}
