"""How well the detector in use masks: measured on the user's own gold, and as it ships.

Scores belong to the documents they were measured on. They are kept beside a workspace so that its reports
can show them, with what they were measured on and how many documents that were.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from nlp.detect import Detector
from nlp.gold import GoldDocument, GoldError, read_gold
from nlp.learnt import WEIGHTS
from nlp.scoring import score
from nlp.text import Span
from pipeline.errors import SourceError
from pipeline.models import now
from pipeline.settings import MaskSettings, Settings
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, read_json, write_json

OTHER_DOCUMENTS = "These scores were measured on other documents than those of this run."
_BATCH = 1 << 16  # characters of a batch, so that every worker gets some
Ordered = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


def evaluate_gold(
    gold: Path, settings: Settings, workspace: Workspace | None = None, ordered: Ordered = map
) -> dict[str, Any]:
    """Score the configured detector on a gold file; with a workspace, its reports show the scores.

    Everything that the detector finds counts as masked, whatever the policy would leave readable.

    Raises:
        SourceError: the gold file can't be used.
    """
    try:
        documents = read_gold(gold)
    except GoldError as error:
        raise SourceError(f"{gold}: {error}") from None
    work = functools.partial(_detect, settings.mask)
    found = [spans for batch in ordered(work, _batches(documents)) for spans in batch]
    measured = {**detector_in_use(settings.mask), **score(documents, found).as_dict()}
    if workspace is not None:
        write_json(_place(workspace), {"measured": now(), **measured})
    return {"gold": str(gold), **measured, "stored": workspace is not None}


def _batches(documents: Sequence[GoldDocument]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for document in documents:
        batch.append(document.text)
        size += len(document.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _detect(settings: MaskSettings, texts: list[str]) -> list[list[Span]]:
    del settings
    return [list(getattr(found, "spans", found)) for found in Detector.load().detect_many(texts)]


def detector_in_use(settings: MaskSettings) -> dict[str, str]:
    """The detector's name and its operating point."""
    return {
        "detector": str(getattr(settings, "detector", "rules")),
        "sensitivity": str(getattr(settings, "sensitivity", "balanced")),
    }


def scores_in_use(workspace: Workspace, settings: MaskSettings) -> dict[str, Any]:
    """What is known of the detector in use, for `run.json` and the report.

    detector, sensitivity; shipped: cross-validated scores from the card beside its weights, or None;
    own: scores on the user's gold, or None where this detector was never measured; note: how to read them.
    """
    used = detector_in_use(settings)
    own = read_json(_place(workspace))
    if own is not None and {name: own.get(name) for name in used} != used:
        own = None
    return {**used, "shipped": _shipped(**used), "own": own, "note": OTHER_DOCUMENTS}


def scores_digest(workspace: Workspace) -> str:
    """Changes when scores are stored, so that a run knows that its report would."""
    return digest_of(read_json(_place(workspace)))


def _shipped(detector: str, sensitivity: str) -> Mapping[str, Any] | None:
    """`card.json` holds {"measured_on": sentence, "n": ..., "scores": {sensitivity: {er_di, ...}}}."""
    if Path(detector).name != detector:
        return None  # the user's own model: what is known of it is what the user measured
    card = read_json(WEIGHTS / detector / "card.json") or {}
    scores: Any = card.get("scores")
    found: Any = cast("dict[str, Any]", scores).get(sensitivity) if isinstance(scores, dict) else None
    if not isinstance(found, dict):
        return None
    return {"measured_on": card.get("measured_on", ""), "n": card.get("n"), **cast("dict[str, Any]", found)}


def _place(workspace: Workspace) -> Path:
    return workspace.protected / "detection_scores.json"
