"""How the texts that a model was trained on were masked, as a record beside the model.

Whoever computes features for the model's head must mask alike: other tokens are other inputs. The record
names no path: a detector of the user's own is known by the digest of its files alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.masking.detector import compute_detector_digest
from lexveil.pipeline.settings import DETECTORS, MaskSettings

FORMAT = 1
_OWN = "own"


def describe_masking(settings: MaskSettings) -> dict[str, Any]:
    """Return the record of a policy and a detector."""
    known = settings.detector in DETECTORS
    policy = settings.model_dump(mode="json", exclude={"detector"})
    return {
        "format": FORMAT,
        "policy": policy,
        "detector": settings.detector if known else _OWN,
        "detector_digest": compute_detector_digest(settings.detector),
    }


def restore_masking(record: Mapping[str, Any], own: MaskSettings) -> MaskSettings:
    """Return the settings that a record describes, with a detector of this machine.

    Args:
        record: what `describe_masking` returned, perhaps elsewhere.
        own: settings of this machine; their detector is used if the record names one that does not ship.

    Raises:
        TrainingRefusedError: the record cannot be read, or this machine lacks the detector.
    """
    try:
        if record["format"] != FORMAT:
            raise ValueError
        named, digest, policy = record["detector"], record["detector_digest"], dict(record["policy"])
        detector = own.detector if named == _OWN else named
        settings = MaskSettings.model_validate({**policy, "detector": detector})
    except (KeyError, TypeError, ValueError, ValidationError):
        raise TrainingRefusedError(
            "the model was trained on texts masked by settings that this version of Lexveil does not know"
        ) from None
    if compute_detector_digest(settings.detector) != digest:
        reason = (
            "setting mask.detector must name a copy of it"
            if named == _OWN
            else "another version of Lexveil has it"
        )
        raise TrainingRefusedError(f"the model was trained on texts masked by another detector: {reason}")
    return settings
