"""Scores of the detector in use: measured on the user's own gold, and as it ships.

Scores depend on the documents they were measured on. A workspace stores them so that its reports can show
them, with the name and the number of those documents.
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
    """Return the detector's name and its operating point."""
    return {"detector": settings.detector, "sensitivity": settings.sensitivity}


def collect_scores(workspace: Workspace) -> dict[str, Any]:
    """Collect the known scores of the detector in use, for `run.json` and the report.

    Returns:
        `detector` and `sensitivity`; `shipped`: cross-validated scores from the file next to its weights, or
        None; `own`: scores on the user's gold, or None if this detector was not measured with these weights;
        `note`: how to read them.
    """
    from lexveil.pipeline.masking.detector import compute_detector_digest  # slow import

    settings = workspace.settings.mask
    used = describe_detector(settings)
    own = read_json(scores_path(workspace)) or {}
    measured = {name: own.get(name) for name in (*used, "weights")}
    if measured != {**used, "weights": compute_detector_digest(settings)}:
        own = {}  # scores of another detector, or of other weights
    return {**used, "shipped": _read_shipped(**used), "own": own or None, "note": OTHER_DOCUMENTS}


def compute_scores_digest(workspace: Workspace) -> str:
    """Return the digest of the stored scores: when it changes, so does the report of a run."""
    return compute_digest(read_json(scores_path(workspace)))


def scores_path(workspace: Workspace) -> Path:
    """File of the scores on the user's gold."""
    return workspace.protected / "detection_scores.json"


def _read_shipped(detector: str, sensitivity: str) -> Mapping[str, Any] | None:
    """Read what `benchmarks/masking.py` measured.

    The file contains {detector: {"measured_on", "n", sensitivity: {er_di, ...}}}.
    """
    entry: Any = (read_json(WEIGHTS / "scores.json") or {}).get(detector)
    if not isinstance(entry, dict) or sensitivity not in entry:
        return None
    scores = cast("dict[str, Any]", entry)
    return {"measured_on": scores.get("measured_on", ""), "n": scores.get("n", 0), **scores[sensitivity]}
