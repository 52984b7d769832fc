"""The endpoint: it serves a model's head from a serving bundle, and issues API keys."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.local_token import is_loopback
from lexveil.pipeline.serving.server.access import ApiKeys, KeyUses, QuotaLimits, Quotas
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.leakage import read_variations
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.serving.server.pool import WorkerLimits
from lexveil.pipeline.serving.server.sandbox import confine_server
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState, open_log, read_database
from lexveil.pipeline.settings import MIB, EncryptedSettings, TenantSettings
from lexveil.pipeline.workspace.storage import make_state_folder

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger("lexveil.serving")

_CPU_SECONDS = 75.0  # a minute of a worker, and a quarter for what requests cost the server itself


def serve_bundle(
    bundle: Path,
    state: Path,
    settings: EncryptedSettings,
    interrupted: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve what a bundle offers until interrupted. This needs no workspace, no master key and no database.

    `confine` should be called first, where this is all that the process is for.

    Args:
        bundle: folder of the serving bundle. Without a model in it, requests are refused until there is one.
        state: folder of the endpoint's state.
        settings: settings of the endpoint.
        interrupted: true once the endpoint shall end, from whatever moment on.
        announce: called with the endpoint's URL once it listens.

    Raises:
        EndpointError: the address or a folder cannot be used.
    """
    listen, limits = _build_listen_options(settings), build_limits(settings)
    with open_log(state).record("serve"):
        serve(ServingBundle(bundle), state, listen, limits, interrupted, announce)


def confine(bundle: Path, state: Path, settings: EncryptedSettings) -> None:
    """Confine this process, for good, to what `serve_bundle` needs: it reads and writes no other folder.

    Raises:
        EndpointError: there is no bundle, or the folder of the state cannot be used.
    """
    if not bundle.is_dir():
        raise EndpointError(f"there is no serving bundle at {bundle}; `lexveil serve export` writes one")
    own = [ServerState(state).folder]
    if is_loopback(settings.host):
        own.append(make_state_folder("local"))  # of the local token
    tls = (settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
    missing = confine_server([bundle, *(path for path in tls if path is not None)], own)
    if missing:
        log.warning("this kernel does not confine the server: %s", ", ".join(missing))


def issue_api_key(state: Path, tenant: str, days: int | None = None) -> str:
    """Create an API key for a tenant. Only its hash is stored, so it cannot be shown again.

    Args:
        state: folder of the endpoint's state.
        tenant: the tenant.
        days: days until the key expires; None: never.

    Raises:
        EndpointError: the tenant's name is not valid, or the endpoint's folder cannot be used.
    """
    return ApiKeys(ServerState(state).folder).issue(tenant, days)


def revoke_api_key(state: Path, key_id: str) -> None:
    """Revoke an API key. A running endpoint refuses it from the next request on.

    Raises:
        EndpointError: there is no such key, or the endpoint's folder cannot be used.
    """
    ApiKeys(ServerState(state).folder).revoke(key_id)


def list_api_keys(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each API key: its tenant, when it was issued, last used and expires, and what it used.

    `slots_today` and `leakage`, the total variation of sealed answers, are the tenant's.

    Raises:
        EndpointError: the endpoint's folder cannot be used.
    """
    database = read_database(folder)
    uses, quotas = KeyUses(database), Quotas(database, QuotaLimits())
    leakage = read_variations(database)
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
        for key in ApiKeys(folder).list()
    ]


def locate_state(workspace: Workspace) -> Path:
    """Return the folder of the endpoint's state where it lies now; nothing is created or moved."""
    state, former = workspace.endpoint / "state", workspace.local / "endpoint"
    return former if (former / "signing.key").exists() and not state.exists() else state


def prepare_folders(workspace: Workspace) -> tuple[Path, Path]:
    """Return the folders of the serving bundle and of the endpoint's state, beside a workspace's documents.

    What an earlier version kept beside the master key is moved.

    Raises:
        EndpointError: they cannot be created.
    """
    folder = workspace.endpoint
    bundle, state = folder / "bundle", folder / "state"
    former = workspace.local / "endpoint"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        bundle.mkdir(exist_ok=True)
        if (former / "signing.key").exists() and not state.exists():
            state.mkdir(mode=0o700)
            for path in former.iterdir():
                if path not in (bundle, state) and path.name not in ("bundle", "extractors"):
                    path.rename(state / path.name)
        state.mkdir(mode=0o700, exist_ok=True)
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
