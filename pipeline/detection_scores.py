"""How well the detector in use masks: measured on the user's own gold, and as it ships.

Scores belong to the documents they were measured on. They are kept beside a workspace so that its reports
can show them, with what they were measured on and how many documents that were.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from nlp.gold import GoldDocument, GoldError, read_gold
from nlp.learnt import WEIGHTS
from nlp.scoring import score
from nlp.text import Span
from pipeline.errors import SourceError
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
        weights = _weights(settings.mask)
        write_json(
            _place(workspace),
            {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "weights": weights, **measured},
        )
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
    from pipeline.stages.find import (
        detect_whole,
    )  # heavy, and whether there is anything to do is asked at once

    return [list(found.spans) for found in detect_whole(settings, texts)]


def detector_in_use(settings: MaskSettings) -> dict[str, str]:
    """The detector's name and its operating point."""
    return {"detector": settings.detector, "sensitivity": settings.sensitivity}


def scores_in_use(workspace: Workspace, settings: MaskSettings) -> dict[str, Any]:
    """What is known of the detector in use, for `run.json` and the report.

    detector, sensitivity; shipped: cross-validated scores from the card beside its weights, or None;
    own: scores on the user's gold, or None where this detector was never measured; note: how to read them.
    """
    used = detector_in_use(settings)
    own = read_json(_place(workspace)) or {}
    measured = {name: own.get(name) for name in (*used, "weights")}
    if measured != {**used, "weights": _weights(settings)}:  # another detector's, or of other weights
        own = {}
    return {**used, "shipped": _shipped(**used), "own": own or None, "note": OTHER_DOCUMENTS}


def scores_digest(workspace: Workspace) -> str:
    """Changes when scores are stored, so that a run knows that its report would."""
    return digest_of(read_json(_place(workspace)))


def _shipped(detector: str, sensitivity: str) -> Mapping[str, Any] | None:
    """What `benchmarks/masking.py` measured: {detector: {"measured_on", "n", sensitivity: {er_di, ...}}}."""
    told: Any = (read_json(WEIGHTS / "scores.json") or {}).get(detector)
    if not isinstance(told, dict) or sensitivity not in told:
        return None
    known = cast("dict[str, Any]", told)
    return {"measured_on": known.get("measured_on", ""), "n": known.get("n", 0), **known[sensitivity]}


def _weights(settings: MaskSettings) -> str:
    from pipeline.stages.find import detector_digest

    return detector_digest(settings.detector)


def _place(workspace: Workspace) -> Path:
    return workspace.protected / "detection_scores.json"
