"""The configured detector, scored on a gold file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexveil.nlp.evaluation.gold import GoldDocument, GoldError, read_gold
from lexveil.nlp.evaluation.scoring import score
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.detector import detect_long_texts
from lexveil.pipeline.masking.scores import describe_detector, scores_path, weights_digest
from lexveil.pipeline.settings import MaskSettings, Settings
from lexveil.pipeline.workspace.storage import write_json
from lexveil.pipeline.workspace.workspace import Workspace

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
    measured = {**describe_detector(settings.mask), **score(documents, found).as_dict()}
    if workspace is not None:
        weights = weights_digest(settings.mask)
        write_json(
            scores_path(workspace),
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
    return [list(found.spans) for found in detect_long_texts(settings, texts)]
