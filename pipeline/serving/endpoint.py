"""The encrypted classification endpoint: what a model serves, where its state stands, who may ask."""

from __future__ import annotations

import os
from pathlib import Path

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.nlp.encoders.storage import save_extractor
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.heads import head_of
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.serving.server.access import ApiKeys, QuotaLimits
from lexveil.pipeline.serving.server.app import Limits, Offer
from lexveil.pipeline.serving.server.listen import Listen, serve
from lexveil.pipeline.serving.server.pool import WorkerLimits
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import State
from lexveil.pipeline.settings import MIB, EncryptedSettings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.he.parameters import Profile
from lexveil.privacy.he.served_model import HeadRefusedError, ServedModel, ShapeRefusedError


def offer_of(model: FeatureModel, folder: Path, name: str, profile: Profile = "sealed") -> Offer:
    """The head of a model, and the folder of the extractor, without the head, that clients may download."""
    return Offer(ServedModel(head_of(model), profile), model.config.labels, name, folder)


def serve_model(workspace: Workspace, name: str | None) -> None:
    """Serve a model's head until interrupted. The process holds no secret key and no document.

    Raises:
        TrainingRefusedError: there is no such model, or its head can't be served encrypted.
        EndpointError: the address or the endpoint's folder can't be used.
    """
    saved = find_model(workspace, name or workspace.settings.train.model)
    model = open_model(saved.folder, workspace.settings)
    if model.config.objective == "multilabel":
        raise TrainingRefusedError(
            "the endpoint answers one label a document; this model tells several labels"
        )
    wanted = workspace.settings.encrypted
    extractor = state_folder(workspace) / "extractors" / saved.name
    save_extractor(model, extractor)
    offer = offer_of(model, extractor, saved.name, wanted.profile)
    try:
        serve(offer, state_folder(workspace), _listen(wanted), _limits(wanted))
    except (HeadRefusedError, ShapeRefusedError) as error:
        raise TrainingRefusedError(f"this model's head can't be served encrypted: {error}") from None


def issue_api_key(workspace: Workspace, tenant: str) -> str:
    """A new API key for a tenant, kept as a hash: it can't be shown again. Raises `EndpointError`."""
    return ApiKeys(State(state_folder(workspace)).folder).issue(tenant)


def revoke_api_key(workspace: Workspace, key_id: str) -> None:
    """From the next request on the key is refused, by a running endpoint too. Raises `EndpointError`."""
    ApiKeys(State(state_folder(workspace)).folder).revoke(key_id)


def state_folder(workspace: Workspace) -> Path:
    """Where the endpoint keeps its signing key, sessions and API keys."""
    return workspace.local / "endpoint"


def _listen(wanted: EncryptedSettings) -> Listen:
    return Listen(
        wanted.host,
        wanted.port,
        certificate=wanted.tls_certificate,
        key=wanted.tls_key,
        client_authority=wanted.tls_client_authority,
    )


def _limits(wanted: EncryptedSettings) -> Limits:
    return Limits(
        sessions=SessionLimits(
            seconds=wanted.session_seconds,
            per_tenant=wanted.sessions_per_tenant,
            tenant_bytes=wanted.key_bytes_per_tenant,
        ),
        quotas=QuotaLimits(wanted.slots_per_minute, wanted.slots_per_day, wanted.requests_at_once),
        workers=WorkerLimits(
            workers=wanted.workers or max(1, len(os.sched_getaffinity(0)) - 1),
            memory_bytes=wanted.worker_mib * MIB,
            request_seconds=wanted.request_seconds,
            waiting=wanted.waiting,
        ),
    )
