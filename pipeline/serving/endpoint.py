"""The endpoint of a workspace: it serves a model's head, and issues API keys."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lexveil.pipeline.serving.export import Follower, export_model
from lexveil.pipeline.serving.server.access import ApiKeys, KeyUses, QuotaLimits, Quotas
from lexveil.pipeline.serving.server.app import ServerLimits
from lexveil.pipeline.serving.server.leakage import read_variations
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.serving.server.pool import WorkerLimits
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState, read_database
from lexveil.pipeline.settings import MIB, EncryptedSettings, TenantSettings
from lexveil.pipeline.workspace.workspace import Workspace

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_CPU_SECONDS = 75.0  # a minute of a worker, and a quarter for what requests cost the server itself


def serve_model(
    workspace: Workspace,
    name: str | None,
    interrupted: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda _: None,
    *,
    wait: bool = False,
) -> None:
    """Serve a model's head until interrupted. The process holds no secret key and no document.

    A model that is trained later takes over, and one that an erasure marks is dropped.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the kind in the settings.
        interrupted: true once the endpoint shall end, from whatever moment on.
        announce: called with the endpoint's URL once it listens.
        wait: start without a model, too, and wait for one.

    Raises:
        TrainingRefusedError: there is no such model, or its head cannot be served encrypted.
        EndpointError: the address or the endpoint's folder cannot be used.
    """
    settings = workspace.settings.encrypted
    state = locate_endpoint_folder(workspace)
    bundle = ServingBundle(state / "bundle")
    if not wait:
        export_model(workspace, name, bundle)
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(Follower(workspace, name, bundle), ended), daemon=True)
    follower.start()
    try:
        listen, limits = _build_listen_options(settings), build_limits(settings)
        serve(bundle, state, listen, limits, interrupted, announce)
    finally:
        ended.set()
        follower.join()


def _follow(follower: Follower, ended: threading.Event) -> None:
    while True:
        try:
            follower.look()
        except Exception:
            log.exception("the models could not be looked at")
        if ended.wait(_LOOK_SECONDS):
            return


def issue_api_key(workspace: Workspace, tenant: str, days: int | None = None) -> str:
    """Create an API key for a tenant. Only its hash is stored, so it cannot be shown again.

    Args:
        workspace: the workspace.
        tenant: the tenant.
        days: days until the key expires; None: never.

    Raises:
        EndpointError: the tenant's name is not valid, or the endpoint's folder cannot be used.
    """
    return ApiKeys(ServerState(locate_endpoint_folder(workspace)).folder).issue(tenant, days)


def revoke_api_key(workspace: Workspace, key_id: str) -> None:
    """Revoke an API key. A running endpoint refuses it from the next request on.

    Raises:
        EndpointError: there is no such key, or the endpoint's folder cannot be used.
    """
    ApiKeys(ServerState(locate_endpoint_folder(workspace)).folder).revoke(key_id)


def list_api_keys(workspace: Workspace) -> list[dict[str, Any]]:
    """Return a row for each API key: its tenant, when it was issued, last used and expires, and what it used.

    `slots_today` and `leakage`, the total variation of sealed answers, are the tenant's.

    Raises:
        EndpointError: the endpoint's folder cannot be used.
    """
    folder = locate_endpoint_folder(workspace)
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


def locate_endpoint_folder(workspace: Workspace) -> Path:
    """Return the folder of the endpoint's signing key, sessions and API keys."""
    return workspace.local / "endpoint"


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
