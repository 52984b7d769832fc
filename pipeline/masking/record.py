"""The masking record of a model: how the texts that it was trained on were masked.

Features for the model's head must come from texts that were masked in the same way, since other tokens are
other inputs. The record names no path and no string: it has one digest of the detector and of the recognizers
and lists of the office.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.masking.detector import compute_detector_digest
from lexveil.pipeline.settings import DETECTORS, OWN_RULES, MaskSettings

FORMAT = 1
_OWN = "own"


def build_masking_record(settings: MaskSettings) -> dict[str, Any]:
    """Return the record of a policy and a detector."""
    known = settings.detector in DETECTORS
    policy = settings.model_dump(mode="json", exclude={"detector", *OWN_RULES})
    rules = {"own_rules": True} if settings.own_rules else {}
    return {
        **rules,
        "format": FORMAT,
        "policy": policy,
        "detector": settings.detector if known else _OWN,
        "detector_digest": compute_detector_digest(settings),
    }


def restore_masking(record: Mapping[str, Any], own: MaskSettings) -> MaskSettings:
    """Return the settings that a record describes, with a detector of this machine.

    Args:
        record: what `build_masking_record` returned, perhaps elsewhere: it may name no path and no code.
        own: settings of this machine; their detector is used if the record names one that does not ship.

    Raises:
        TrainingRefusedError: the record cannot be read, or this machine lacks the detector.
    """
    try:
        named, digest, policy = record["detector"], record["detector_digest"], dict(record["policy"])
        # Never from a record, which may be a stranger's: they name files here, and code that would be run.
        if record["format"] != FORMAT or named not in (*DETECTORS, _OWN) or policy.keys() & {*OWN_RULES}:
            raise ValueError
        detector = own.detector if named == _OWN else named
        rules = {name: getattr(own, name) for name in OWN_RULES} if record.get("own_rules") else {}
        settings = MaskSettings.model_validate({**policy, **rules, "detector": detector})
    except (KeyError, TypeError, ValueError, ValidationError):
        raise TrainingRefusedError(
            "the model was trained on texts masked by settings that this version of Lexveil does not know"
        ) from None
    if compute_detector_digest(settings) != digest:
        if rules:
            reason = f"mask.{', mask.'.join(OWN_RULES)} must be those of its office"
        elif named == _OWN:
            reason = "setting mask.detector must name a copy of it"
        else:
            reason = "another version of Lexveil has it"
        raise TrainingRefusedError(f"the model was trained on texts masked by another detector: {reason}")
    return settings
