"""A server's manifest: its retrieval, its checks, and what a client computes from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pydantic import ValidationError

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.client.channel import MESSAGE_BYTES, Channel, ServingError
from lexveil.pipeline.serving.client.checks import Probe
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.privacy.he.evaluate import logit_limit, state_errors
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.probes import probe_features

# If the stated error were a larger share of the spread of the known answers, almost any answer would pass.
MAX_ERROR_SHARE = 0.25
_MODEL_LENGTH = 200
# How often an older manifest is fetched again: a replica may lag behind.
_MANIFESTS_TRIED = 6
_ROUNDING = 1 + 1e-9  # of the same calculation on another machine
# What says how answers are read and checked.
_STATEMENT = {"model", "labels", "extractor", "profile", "layouts", "weights_commitment", "probes"}


@dataclass(frozen=True, slots=True)
class ServedManifest:
    """A manifest that was checked.

    Attributes:
        manifest: its content.
        digest: names it in requests.
    """

    manifest: wire.ServerManifest
    digest: str

    @property
    def query(self) -> str:
        """Query that names the manifest in a request."""
        return f"manifest={self.digest}"


def fetch_manifest(channel: Channel, state: ClientState, public_key: str | None) -> ServedManifest:
    """Return the server's manifest, and pin it. An older one may come from a replica that lags behind.

    Args:
        channel: connection to the server.
        state: the pin of the endpoint.
        public_key: the server's public key, base64; None: the pinned one, or the first one seen.

    Raises:
        ServingError: it cannot be fetched or trusted.
    """
    state.pin.require_trusted()
    waited: float | None = 0.0
    for attempt in range(_MANIFESTS_TRIED):
        manifest = _read_manifest(channel, state, public_key)
        if manifest is not None:
            return manifest
        waited = channel.wait(attempt)
        if waited is None:
            break
    raise ServingError(
        "dishonest",
        "the server shows an older manifest, of another head; "
        "`lexveil keys rotate --trust-again` accepts it as if it were new",
    )


def _read_manifest(channel: Channel, state: ClientState, public_key: str | None) -> ServedManifest | None:
    """Return the server's manifest, and pin it; None if it is an older one, of another head."""
    content = channel.get("/v1/manifest", MESSAGE_BYTES)
    with state.update() as pin:
        try:
            signed = wire.SignedManifest.model_validate_json(content)
            manifest = signed.verify(public_key or pin.public_key or None)
        except ValidationError:
            raise ServingError("manifest", "the server's manifest is malformed") from None
        except bundles.WireError as error:
            raise ServingError("manifest", str(error)) from None
        check_manifest(manifest)
        statement = digest_statement(manifest)
        other_weights = manifest.weights_commitment != pin.commitment
        if other_weights or statement != (pin.statement or statement):
            if manifest.issued_at < pin.issued_at:
                return None
            pin.head_since = datetime.now(UTC).isoformat(timespec="seconds")
        if other_weights:
            pin.lines = []  # the former answers are no longer valid
        pin.public_key, pin.commitment = signed.public_key, manifest.weights_commitment
        pin.statement = statement
        pin.issued_at = max(pin.issued_at, manifest.issued_at)
    return ServedManifest(manifest, wire.name_manifest(signed.manifest))


def check_manifest(manifest: wire.ServerManifest) -> None:
    """Refuse a manifest that cannot be trusted.

    Raises:
        ServingError: the manifest contradicts itself or our own table of parameters, or states errors so
            large that no check of the answers could fail.
    """
    answers = [] if manifest.probes is None else manifest.probes.answers
    if not answers:
        raise ServingError("manifest", "the manifest states no known answers")
    if not (manifest.model.isprintable() and len(manifest.model) <= _MODEL_LENGTH):
        # Commands print it, between lines that say how far the server can be trusted.
        raise ServingError("manifest", "the manifest's name of its model is no short line of text")
    for name, layout in manifest.layouts.items():
        try:
            ours = read_parameters(layout)
        except ValueError:
            raise ServingError(
                "manifest", "the manifest names parameters that are not in the table"
            ) from None
        consistent = (
            ours.packing == name
            and ours.profile == manifest.profile
            and layout.steps == list(rotation_steps(ours))
            and len(manifest.labels) == ours.n_classes == len(set(manifest.labels))
            and all(len(answer) == ours.n_classes for answer in answers)
        )
        if not consistent:
            raise ServingError("manifest", "the manifest contradicts itself")
        if ours.degree == 1:
            _require_possible_errors(layout, ours)
    _check_stated_errors(manifest)


def digest_statement(manifest: wire.ServerManifest) -> str:
    """Return the digest of all that a manifest states of the head and of how its answers are to be read.

    Weights are one part of it. With other labels, another extractor or larger stated errors, the answers of
    the same weights mean something else.
    """
    record = manifest.model_dump(mode="json", include=_STATEMENT)
    for layout in record["layouts"].values():
        del layout["ciphertexts_per_request"]  # a limit of the server, which may change
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def build_published_probes(manifest: wire.ServerManifest, n_features: int) -> list[Probe]:
    """Build the probes that the manifest publishes, with their answers."""
    probes = manifest.probes
    assert probes is not None  # otherwise the manifest was refused
    features = probe_features(probes.seed, len(probes.answers), n_features)
    answers = np.array(probes.answers)
    return [Probe(*known, probes.rounding) for known in zip(features, answers, strict=True)]


def read_parameters(layout: wire.Layout) -> Parameters:
    """Return the layout's parameters, checked against our own table: a server cannot choose weak ones.

    Raises:
        ValueError: the table does not contain them.
    """
    return Parameters.from_json(json.dumps(layout.parameters))


def compute_error_bound(layout: wire.Layout, norm: float) -> float:
    """Return the largest absolute error of a logit that the server states for features of this norm."""
    return layout.error_floor + layout.error_slope * (1 + norm)


def _require_possible_errors(layout: wire.Layout, parameters: Parameters) -> None:
    """Refuse errors that no linear head has: by them, wrong answers would pass.

    The larger the weights of a head, the larger its errors, and the smaller the norm of features for which no
    logit wraps around. For norm 1 none ever does.
    """
    most = state_errors(parameters, logit_limit(parameters) / max(1.0, layout.feature_norm))
    for stated, possible in zip((layout.error_floor, layout.error_slope), most, strict=True):
        if stated > possible * _ROUNDING:
            raise ServingError(
                "manifest", "the server states larger errors than a head can have: wrong answers would pass"
            )


def _check_stated_errors(manifest: wire.ServerManifest) -> None:
    assert manifest.probes is not None
    spread = float(np.std(np.array(manifest.probes.answers), axis=0).max())
    stated = (
        max(compute_error_bound(layout, 1.0) for layout in manifest.layouts.values())
        + manifest.probes.rounding
    )
    if not stated <= MAX_ERROR_SHARE * spread:  # also refuses NaN
        raise ServingError(
            "manifest",
            f"the server states an error of {stated:.2g} where its known answers spread by {spread:.2g}: "
            "any answer could pass as right",
        )
