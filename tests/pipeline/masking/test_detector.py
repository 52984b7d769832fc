"""The detector on texts of any length: pieces in batches, offsets of the whole, refusals in one line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from lexveil.nlp.detection.detector import Detection, Detector
from lexveil.nlp.masking.anonymize import PIECE_SIZE, Piece, split_pieces
from lexveil.nlp.recognizers.own_rules import OwnRules
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.masking import detector as module
from lexveil.pipeline.masking.detector import (
    batch_pieces,
    compute_detector_digest,
    detect,
    detect_long_texts,
    shift_span,
)
from lexveil.pipeline.settings import MaskSettings

RULES = MaskSettings(detector="rules")
TEXT = "Write to ada.quill@example.org or to ben.roe@example.org."


def sizes(*lengths: int) -> list[list[int]]:
    pieces = ((number, Piece(0, "x" * length, ())) for number, length in enumerate(lengths))
    batches = list(batch_pieces(pieces))
    assert [number for batch in batches for number, _ in batch] == list(range(len(lengths)))
    return [[len(piece.text) for _, piece in batch] for batch in batches]


def test_short_pieces_share_a_batch_and_long_ones_have_their_own() -> None:
    half = PIECE_SIZE // 2
    assert sizes() == []
    assert sizes(1, 2, 3) == [[1, 2, 3]]
    assert sizes(half, half) == [[half, half]]
    assert sizes(half, half, 1) == [[half, half], [1]]
    assert sizes(1, PIECE_SIZE, 1) == [[1], [PIECE_SIZE], [1]]
    assert sizes(PIECE_SIZE + 5) == [[PIECE_SIZE + 5]]  # a span may make a piece longer


def test_no_batch_but_a_single_piece_passes_the_size() -> None:
    for batch in sizes(*[PIECE_SIZE // 3] * 10, PIECE_SIZE, *[7] * 100):
        assert sum(batch) <= PIECE_SIZE


def test_a_span_is_moved_with_its_type_and_score() -> None:
    span = Span(3, 9, "EMAIL", 0.5, "X")
    assert shift_span(span, 100) == Span(103, 109, "EMAIL", 0.5, "X")
    assert shift_span(span, 0) is span


def test_spans_of_each_text_come_in_the_order_of_the_texts() -> None:
    first, second, third = detect(RULES, [TEXT, "Nothing.", TEXT])
    assert [TEXT[span.start : span.end] for span in first.spans] == [
        "ada.quill@example.org",
        "ben.roe@example.org",
    ]
    assert second.spans == ()
    assert third == first


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "split_pieces", partial(split_pieces, size=200))


@pytest.mark.usefixtures("small_pieces")
def test_offsets_in_a_long_text_are_those_of_the_text() -> None:
    text = "\n".join([TEXT, "The rent is due.\n" * 40, TEXT])
    whole, short = detect_long_texts(RULES, [text, TEXT])
    assert [text[span.start : span.end] for span in whole.spans if span.type == "EMAIL"] == [
        TEXT[span.start : span.end] for span in short.spans
    ] * 2


@pytest.mark.usefixtures("small_pieces")
def test_a_text_is_served_only_if_all_of_its_pieces_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(settings: MaskSettings, texts: Sequence[str], known: object = None) -> list[Detection]:
        return [Detection((), text[:2], "!" not in text) for text in texts]

    monkeypatch.setattr(module, "detect", fake)
    long = "en " * 300
    ok, empty, bad = detect_long_texts(RULES, [long, "", f"{long}!"])
    assert (ok.served, ok.language) == (True, "en")
    assert empty.spans == ()
    assert (bad.served, bad.language) == (False, "en")


def test_a_detector_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"setting mask\.detector: it cannot be used \(") as caught:
        detect(MaskSettings(detector=str(tmp_path)), [TEXT])
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_the_settings_choose_the_operating_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    class Fake:
        def detect_many(self, texts: Sequence[str], *_: object) -> list[Detection]:
            return [Detection((), "en", True) for _ in texts]

    def load(name: str, sensitivity: str, own: OwnRules) -> Fake:
        assert not own
        asked.append((name, sensitivity))
        return Fake()

    monkeypatch.setattr(Detector, "load", load)
    for preset in ("balanced", "strict"):
        detect(MaskSettings.model_validate({"detector": "light", "preset": preset}), [TEXT])
    assert [name for name, _ in asked] == ["light", "light"]
    assert len(set(asked)) == 2


def test_the_digest_covers_names_and_contents_of_a_folder(tmp_path: Path) -> None:
    def digest(name: str, files: dict[str, str]) -> str:
        folder = tmp_path / name
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        return compute_detector_digest(MaskSettings(detector=str(folder)))

    first = digest("a", {"model.bin": "1", "en/config.json": "2"})
    assert first == digest("b", {"en/config.json": "2", "model.bin": "1"})
    others = {
        digest("c", {"model.bin": "x", "en/config.json": "2"}),
        digest("d", {"model.bin": "1", "de/config.json": "2"}),
        digest("e", {"model.bin": "1"}),
    }
    assert len({first, *others}) == 4


def test_detectors_that_ship_have_one_digest_for_all_weights() -> None:
    assert compute_detector_digest(MaskSettings()) == compute_detector_digest(RULES)
    assert len(compute_detector_digest(RULES)) == 32
