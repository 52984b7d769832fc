"""Checks of a server's manifest, and what a client computes from it."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.serving.client.checks import Probe
from lexveil.privacy.he.evaluate import logit_limit, state_errors
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.probes import probe_features

# If the stated error were a larger share of the spread of the known answers, almost any answer would pass.
MAX_ERROR_SHARE = 0.25
_MODEL_LENGTH = 200
_ROUNDING = 1 + 1e-9  # of the same calculation on another machine
# What says how answers are read and checked.
_STATEMENT = {"model", "labels", "extractor", "profile", "layouts", "weights_commitment", "probes"}


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
