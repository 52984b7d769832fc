"""The configured detector, applied to texts of any length."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lexveil.nlp.batching import batch_by_size
from lexveil.nlp.detection.detector import Detection, Detector, KnownName
from lexveil.nlp.masking.anonymize import PIECE_SIZE, Piece, split_pieces
from lexveil.nlp.recognizers.own_rules import OwnRulesError, compute_rules_digest
from lexveil.nlp.taggers.contract import WEIGHTS
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import DETECTORS, MaskSettings

T = TypeVar("T")


def detect(
    settings: MaskSettings, texts: Sequence[str], known: Sequence[Sequence[KnownName]] | None = None
) -> list[Detection]:
    """Detect personal information in texts with the configured detector.

    Args:
        settings: settings that name the detector and its operating point.
        texts: texts of moderate length, which are read at once.
        known: names to search for in each text, whether or not the detector finds them.

    Raises:
        SettingsError: the detector cannot be used; the message contains the code of the `TaggerError`.
    """
    from lexveil.nlp.taggers.contract import TaggerError

    try:
        detector = Detector.load(settings.detector, settings.sensitivity, settings.own_rules)
        return detector.detect_many(texts, settings.language, known)
    except TaggerError as error:
        raise SettingsError(f"setting mask.detector: it cannot be used ({error.code})") from None
    except OwnRulesError as error:
        raise SettingsError(f"setting mask.{error}") from None


def check_own_rules(settings: MaskSettings) -> None:
    """Load the recognizers of the office, if there are any, before starting work that needs them.

    Raises:
        SettingsError: they cannot be used.
    """
    rules = settings.own_rules
    if not rules.recognizers and not rules.files:
        return
    from lexveil.nlp.recognizers.own_recognizers import load_recognizers

    try:
        load_recognizers(rules)
    except OwnRulesError as error:
        raise SettingsError(f"setting mask.{error}") from None


def detect_long_texts(
    settings: MaskSettings, texts: Sequence[str], known: Sequence[Sequence[KnownName]] | None = None
) -> list[Detection]:
    """Detect in texts of any length: their pieces are read one after the other.

    Args:
        settings: settings that name the detector and its operating point.
        texts: the texts.
        known: names that are looked for in each text, whether or not the detector finds them.
    """
    pieces = [(number, piece) for number, text in enumerate(texts) for piece in split_pieces(text, ())]
    parts: list[list[tuple[Piece, Detection]]] = [[] for _ in texts]
    for batch in batch_pieces(pieces):
        names = None if known is None else [known[number] for number, _ in batch]
        detections = detect(settings, [piece.text for _, piece in batch], names)
        for (number, piece), detection in zip(batch, detections, strict=True):
            parts[number].append((piece, detection))
    return [
        Detection(
            tuple(shift_span(span, piece.start) for piece, detection in part for span in detection.spans),
            part[0][1].language,
            all(detection.served for _, detection in part),
        )
        for part in parts
    ]


def compute_detector_digest(settings: MaskSettings) -> str:
    """Return the digest of everything that detects: weights, and the recognizers and lists of the office.

    The weights are the ones that ship, or the files of the user's folder.

    Raises:
        SettingsError: a recognizer of the office is missing.
    """
    weights = _compute_weights_digest(settings.detector)
    rules = settings.own_rules
    if not rules:
        return weights
    try:
        own = compute_rules_digest(rules)
    except OwnRulesError as error:
        raise SettingsError(f"setting mask.{error}") from None
    return hashlib.sha256(f"{weights} {own}".encode()).hexdigest()[:32]


@functools.cache
def _compute_weights_digest(detector: str) -> str:
    folder = WEIGHTS if detector in DETECTORS else Path(detector)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:32]


def batch_pieces(pieces: Iterable[tuple[T, Piece]]) -> Iterator[list[tuple[T, Piece]]]:
    """Group pieces for detection: many short ones, or one long piece.

    Args:
        pieces: pairs of anything and a piece.
    """
    return batch_by_size(pieces, lambda entry: len(entry[1].text), PIECE_SIZE)


def shift_span(span: Span, by: int) -> Span:
    """Move a span by a number of characters."""
    return replace(span, start=span.start + by, end=span.end + by) if by else span
