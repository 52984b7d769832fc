"""Evaluation of the configured detector on a gold file."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
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
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace

_BATCH = 1 << 16  # characters per batch, few enough that every worker gets some


def evaluate_gold(gold: Path, mask: MaskSettings, ordered: OrderedMap = map) -> dict[str, Any]:
    """Score the configured detector on a gold file.

    Everything that the detector finds counts as masked, whatever the policy would leave readable.

    Args:
        gold: file of documents with spans, as `read_gold` reads it.
        mask: detector and operating point.
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
    work = functools.partial(_detect, mask)
    spans = [found for batch in ordered(work, _batch(documents)) for found in batch]
    return {**describe_detector(mask), **score(documents, spans).as_dict()}


def store_scores(workspace: Workspace, scores: Mapping[str, Any]) -> None:
    """Store scores of the workspace's detector, so that its reports show them."""
    weights = compute_detector_digest(workspace.settings.mask)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(scores_path(workspace), {"measured": moment, "weights": weights, **scores})


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
