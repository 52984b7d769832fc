"""TODO docstring."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lexveil.nlp.detection.detector import Detection, Detector
from lexveil.nlp.masking.anonymize import PIECE_SIZE, Piece, split_pieces
from lexveil.nlp.taggers.contract import WEIGHTS
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import DETECTORS, MaskSettings

T = TypeVar("T")


def detect(settings: MaskSettings, texts: Sequence[str]) -> list[Detection]:
    """What the configured detector finds in each text.

    Raises:
        SettingsError: the detector can't be used; the code of `lexveil.nlp.taggers.contract.TaggerError`
        says why.
    """
    from lexveil.nlp.taggers.contract import TaggerError

    try:
        detector = Detector.load(settings.detector, settings.sensitivity)
    except TaggerError as error:
        raise SettingsError(f"setting mask.detector: it can't be used ({error.code})") from None
    return detector.detect_many(texts)


def detect_long_texts(settings: MaskSettings, texts: Sequence[str]) -> list[Detection]:
    """The same for texts of any length, whose pieces are read one after the other."""
    cut = [(number, piece) for number, text in enumerate(texts) for piece in split_pieces(text, ())]
    parts: list[list[tuple[Piece, Detection]]] = [[] for _ in texts]
    for batch in batch_pieces(cut):
        found = detect(settings, [piece.text for _, piece in batch])
        for (number, piece), detection in zip(batch, found, strict=True):
            parts[number].append((piece, detection))
    return [
        Detection(
            tuple(shift_span(span, piece.start) for piece, detection in part for span in detection.spans),
            part[0][1].language,
            all(detection.served for _, detection in part),
        )
        for part in parts
    ]


@functools.cache
def compute_detector_digest(detector: str) -> str:
    """Digest of a detector's weights: those that ship, or the files of the user's own folder."""
    folder = WEIGHTS if detector in DETECTORS else Path(detector)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:32]


def batch_pieces(pieces: Iterable[tuple[T, Piece]]) -> Iterator[list[tuple[T, Piece]]]:
    """Pieces that are detected in at once: many short ones, or a long one alone."""
    batch: list[tuple[T, Piece]] = []
    length = 0
    for entry in pieces:
        if batch and length + len(entry[1].text) > PIECE_SIZE:
            yield batch
            batch, length = [], 0
        batch.append(entry)
        length += len(entry[1].text)
    if batch:
        yield batch


def shift_span(span: Span, by: int) -> Span:
    return replace(span, start=span.start + by, end=span.end + by) if by else span
