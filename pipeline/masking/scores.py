"""How well the detector in use masks: measured on the user's own gold, and as it ships.

Scores belong to the documents they were measured on. They are kept beside a workspace so that its reports
can show them, with what they were measured on and how many documents that were.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lexveil.nlp.taggers.contract import WEIGHTS
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace.storage import read_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

OTHER_DOCUMENTS = "These scores were measured on other documents than those of this run."


def describe_detector(settings: MaskSettings) -> dict[str, str]:
    """The detector's name and its operating point."""
    return {"detector": settings.detector, "sensitivity": settings.sensitivity}


def collect_scores(workspace: Workspace) -> dict[str, Any]:
    """What is known of the detector in use, for `run.json` and the report.

    detector, sensitivity; shipped: cross-validated scores from the card beside its weights, or None;
    own: scores on the user's gold, or None where this detector was never measured; note: how to read them.
    """
    settings = workspace.settings.mask
    used = describe_detector(settings)
    own = read_json(scores_path(workspace)) or {}
    measured = {name: own.get(name) for name in (*used, "weights")}
    if measured != {
        **used,
        "weights": weights_digest(settings),
    }:  # another detector's, or of other weights
        own = {}
    return {**used, "shipped": _shipped(**used), "own": own or None, "note": OTHER_DOCUMENTS}


def compute_scores_digest(workspace: Workspace) -> str:
    """Changes when scores are stored, so that a run knows that its report would."""
    return compute_digest(read_json(scores_path(workspace)))


def _shipped(detector: str, sensitivity: str) -> Mapping[str, Any] | None:
    """What `benchmarks/masking.py` measured: {detector: {"measured_on", "n", sensitivity: {er_di, ...}}}."""
    told: Any = (read_json(WEIGHTS / "scores.json") or {}).get(detector)
    if not isinstance(told, dict) or sensitivity not in told:
        return None
    known = cast("dict[str, Any]", told)
    return {"measured_on": known.get("measured_on", ""), "n": known.get("n", 0), **known[sensitivity]}


def weights_digest(settings: MaskSettings) -> str:
    from lexveil.pipeline.masking.detector import compute_detector_digest

    return compute_detector_digest(settings.detector)


def scores_path(workspace: Workspace) -> Path:
    return workspace.protected / "detection_scores.json"
