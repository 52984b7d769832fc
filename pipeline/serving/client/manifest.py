"""What a server's manifest promises, and whether a client may believe it."""

from __future__ import annotations

import json

import numpy as np

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client import checks
from lexveil.pipeline.serving.client.channel import ServingError
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.probes import probe_features

# A stated error above this share of the spread of the known answers would let almost any answer pass.
MOST_ERROR = 0.25


def refuse_incredible(manifest: wire.Manifest) -> None:
    """Raises `ServingError` for a manifest that contradicts itself or our own table of parameters, or that
    allows itself errors so large that no check of its answers could fail."""
    answers = [] if manifest.probes is None else manifest.probes.answers
    if not answers:
        raise ServingError("manifest", "the manifest states no known answers")
    for name, layout in manifest.layouts.items():
        try:
            ours = parameters(layout)
        except ValueError:
            raise ServingError(
                "manifest", "the manifest names parameters that are not in the table"
            ) from None
        agreeing = (
            ours.packing == name
            and ours.profile == manifest.profile
            and layout.steps == list(rotation_steps(ours))
            and len(manifest.labels) == ours.n_classes == len(set(manifest.labels))
            and all(len(answer) == ours.n_classes for answer in answers)
        )
        if not agreeing:
            raise ServingError("manifest", "the manifest contradicts itself")
    _refuse_vague(manifest)


def known_answers(manifest: wire.Manifest, n_features: int) -> checks.KnownAnswers:
    """The probes that the manifest publishes, with its answers."""
    probes = manifest.probes
    assert probes is not None  # else the manifest was refused
    features = probe_features(probes.seed, len(probes.answers), n_features)
    return checks.KnownAnswers(features, np.array(probes.answers), probes.rounding)


def parameters(layout: wire.Layout) -> Parameters:
    """The layout's parameters, checked against our own table: a server cannot talk a client into weak ones.

    Raises ValueError for any that are not in it.
    """
    return Parameters.from_json(json.dumps(layout.parameters))


def error_bound(layout: wire.Layout, norm: float) -> float:
    """Largest absolute error of a logit that the server states for features of this norm."""
    return layout.error_floor + layout.error_slope * (1 + norm)


def _refuse_vague(manifest: wire.Manifest) -> None:
    assert manifest.probes is not None
    spread = float(np.std(np.array(manifest.probes.answers), axis=0).max())
    stated = max(error_bound(layout, 1.0) for layout in manifest.layouts.values()) + manifest.probes.rounding
    if not stated <= MOST_ERROR * spread:  # also refuses what is not a number
        raise ServingError(
            "manifest",
            f"the server states an error of {stated:.2g} where its known answers spread by {spread:.2g}: "
            "any answer could pass as right",
        )
