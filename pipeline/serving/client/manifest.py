"""Checks of a server's manifest, and what a client computes from it."""

from __future__ import annotations

import json

import numpy as np

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.pipeline.serving.client.checks import Probe
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.probes import probe_features

# If the stated error were a larger share of the spread of the known answers, almost any answer would pass.
MAX_ERROR_SHARE = 0.25


def check_manifest(manifest: wire.ServerManifest) -> None:
    """Refuse a manifest that cannot be trusted.

    Raises:
        ServingError: the manifest contradicts itself or our own table of parameters, or states errors so
            large that no check of the answers could fail.
    """
    answers = [] if manifest.probes is None else manifest.probes.answers
    if not answers:
        raise ServingError("manifest", "the manifest states no known answers")
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
    _check_stated_errors(manifest)


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
