"""Evaluation of the configured detector on a gold file."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexveil.nlp.evaluation.gold import GoldDocument, GoldError, read_gold
from lexveil.nlp.evaluation.scoring import score
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.detector import compute_detector_digest, detect_long_texts
from lexveil.pipeline.masking.scores import describe_detector, scores_path
from lexveil.pipeline.records import OrderedMap
from lexveil.pipeline.settings import MaskSettings, Settings
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace

_BATCH = 1 << 16  # characters per batch, few enough that every worker gets some


def evaluate_gold(
    gold: Path, settings: Settings, workspace: Workspace | None = None, ordered: OrderedMap = map
) -> dict[str, Any]:
    """Score the configured detector on a gold file.

    Everything that the detector finds counts as masked, whatever the policy would leave readable.

    Args:
        gold: file of documents with spans, as `read_gold` reads it.
        settings: detector and operating point.
        workspace: workspace that stores the scores and shows them in its reports; None: they are not stored.
        ordered: applies detection to the batches, in order.

    Returns:
        The scores, with what was measured, as a JSON object.

    Raises:
        SourceError: the gold file cannot be used.
    """
    try:
        documents = read_gold(gold)
    except GoldError as error:
        raise SourceError(f"{gold}: {error}") from None
    work = functools.partial(_detect, settings.mask)
    spans = [found for batch in ordered(work, _batch(documents)) for found in batch]
    measured = {**describe_detector(settings.mask), **score(documents, spans).as_dict()}
    if workspace is not None:
        weights = compute_detector_digest(settings.mask.detector)
        write_json(
            scores_path(workspace),
            {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "weights": weights, **measured},
        )
    return {"gold": str(gold), **measured, "stored": workspace is not None}


def _batch(documents: Sequence[GoldDocument]) -> Iterator[list[str]]:
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
    return [list(detection.spans) for detection in detect_long_texts(settings, texts)]
