"""The endpoint of a workspace: it serves a model's head, and issues API keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.storage import save_extractor
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.heads import build_head
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.serving.server.access import ApiKeys, QuotaLimits
from lexveil.pipeline.serving.server.app import Offer, ServerLimits
from lexveil.pipeline.serving.server.listen import ListenOptions, serve
from lexveil.pipeline.serving.server.pool import WorkerLimits
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.settings import MIB, EncryptedSettings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.he.parameters import Profile
from lexveil.privacy.he.served_model import HeadRefusedError, ServedModel, ShapeRefusedError


def build_offer(model: FeatureModel, folder: Path, name: str, profile: Profile = "sealed") -> Offer:
    """Build the offer of a model's head.

    Args:
        model: the model.
        folder: folder of the extractor, without the head, which clients may download.
        name: name of the model.
        profile: profile of the encryption.
    """
    return Offer(ServedModel(build_head(model), profile), model.config.labels, name, folder)


def serve_model(
    workspace: Workspace,
    name: str | None,
    interrupted: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a model's head until interrupted. The process holds no secret key and no document.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the kind in the settings.
        interrupted: true once the endpoint shall end, from whatever moment on.
        announce: called with the endpoint's URL once it listens.

    Raises:
        TrainingRefusedError: there is no such model, or its head cannot be served encrypted.
        EndpointError: the address or the endpoint's folder cannot be used.
    """
    saved = find_model(workspace, name or workspace.settings.train.model)
    model = open_model(saved.folder, workspace.settings)
    if model.config.objective == "multilabel":
        raise TrainingRefusedError(
            "the endpoint answers one label per document; this model predicts several labels"
        )
    settings = workspace.settings.encrypted
    state = locate_endpoint_folder(workspace)
    extractor = state / "extractors" / saved.name
    save_extractor(model, extractor)
    offer = build_offer(model, extractor, saved.name, settings.profile)
    try:
        listen, limits = _build_listen_options(settings), _build_limits(settings)
        serve(offer, state, listen, limits, interrupted, announce)
    except (HeadRefusedError, ShapeRefusedError) as error:
        raise TrainingRefusedError(f"this model's head cannot be served encrypted: {error}") from None


def issue_api_key(workspace: Workspace, tenant: str) -> str:
    """Create an API key for a tenant. Only its hash is stored, so it cannot be shown again.

    Raises:
        EndpointError: the tenant's name is not valid, or the endpoint's folder cannot be used.
    """
    return ApiKeys(ServerState(locate_endpoint_folder(workspace)).folder).issue(tenant)


def revoke_api_key(workspace: Workspace, key_id: str) -> None:
    """Revoke an API key. A running endpoint refuses it from the next request on.

    Raises:
        EndpointError: there is no such key, or the endpoint's folder cannot be used.
    """
    ApiKeys(ServerState(locate_endpoint_folder(workspace)).folder).revoke(key_id)


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


def _build_limits(settings: EncryptedSettings) -> ServerLimits:
    return ServerLimits(
        sessions=SessionLimits(
            seconds=settings.session_seconds,
            per_tenant=settings.sessions_per_tenant,
            tenant_bytes=settings.key_bytes_per_tenant,
        ),
        quotas=QuotaLimits(settings.slots_per_minute, settings.slots_per_day, settings.requests_at_once),
        workers=WorkerLimits(
            workers=settings.workers or max(1, len(os.sched_getaffinity(0)) - 1),
            memory_bytes=settings.worker_mib * MIB,
            request_seconds=settings.request_seconds,
            waiting=settings.waiting,
        ),
    )
