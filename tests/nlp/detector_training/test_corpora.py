"""Preparation of gold documents, operating points and weak labels. All names are invented."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lexveil.nlp.detector_training.__main__ import main, split_folds
from lexveil.nlp.detector_training.corpora import (
    LEARNED_TYPES,
    prepare_document,
    read_documents,
    thin_unmarked,
)
from lexveil.nlp.detector_training.operating_points import PRECISION, THRESHOLDS, choose_operating_points
from lexveil.nlp.detector_training.transformer import collect_labels, train_transformer
from lexveil.nlp.detector_training.weak_labels import SpacyNames, sample_heads_and_tails
from lexveil.nlp.detector_training.weak_labels import main as label_weakly
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.evaluation.gold import GoldDocument, GoldError, GoldSpan, Identifier
from lexveil.nlp.evaluation.scoring import Scores, score


def gold(text: str, piece: str, kind: str = "PERSON", identifier: Identifier = "DIRECT") -> GoldSpan:
    start = text.index(piece)
    return GoldSpan(start, start + len(piece), kind, piece, identifier)


def document(text: str, *spans: GoldSpan, language: str = "en", name: str = "d") -> GoldDocument:
    return GoldDocument(name, text, language, (spans,))


@pytest.mark.parametrize(
    ("text", "marked", "kept"),
    [
        ("Mr Vane left.", "Mr Vane", "Vane"),
        ("Mrs. Vane left.", "Mrs. Vane", "Vane"),
        ("Mr and Mrs Vane left.", "Mrs Vane", "Vane"),
        ("Ms Odile Vane left.", "Odile Vane", "Odile Vane"),
        ("The Borrower paid.", "Borrower", None),
        ("The Lenders paid.", "Lenders", None),
        ("Mr Vane paid.", "Mr", None),
    ],
)
def test_a_person_is_learned_without_title_and_a_role_is_nobody(
    text: str, marked: str, kept: str | None
) -> None:
    (annotation,) = prepare_document(document(text, gold(text, marked))).annotations
    assert [text[span.start : span.end] for span in annotation] == ([kept] if kept else [])


@pytest.mark.parametrize("kind", ENTITY_TYPES)
def test_types_with_rules_of_their_own_are_not_learned(kind: str) -> None:
    text = "It was Quillfeather."
    (annotation,) = prepare_document(document(text, gold(text, "Quillfeather", kind))).annotations
    assert bool(annotation) == (kind in LEARNED_TYPES)


@pytest.mark.parametrize(
    ("text", "stated", "language"),
    [
        ("Der Beklagte trägt die Kosten des Rechtsstreits.", "", "de"),
        ("The court of appeal dismissed the claim of the tenant.", "", "en"),
        ("Der Beklagte trägt die Kosten des Rechtsstreits.", "nl", "nl"),
    ],
)
def test_a_document_gets_a_language(text: str, stated: str, language: str) -> None:
    assert prepare_document(document(text, language=stated)).language == language


def test_a_part_of_the_documents_without_annotations_is_enough() -> None:
    marked = [document("Vane left.", gold("Vane left.", "Vane"), name=f"m{n}") for n in range(20)]
    empty = [document("Nobody left.", name=f"e{n}") for n in range(400)]
    thinned = thin_unmarked([*marked, *empty], 7)
    assert [one for one in thinned if one.annotations[0]] == marked
    assert 30 < len(thinned) - len(marked) < 90
    assert thin_unmarked([*marked, *empty], 7) == thinned != thin_unmarked([*marked, *empty], 8)


def test_a_broken_gold_file_is_refused_without_text(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(
        '{"id": "d", "text": "Vane left.", "spans": [{"start": 5, "end": 99, "type": "PERSON"}]}\n'
    )
    with pytest.raises(GoldError) as caught:
        read_documents([path], None, 7)
    assert "Vane" not in str(caught.value)


@pytest.mark.parametrize(("count", "k"), [(9, 3), (10, 3), (2, 5)])
def test_each_item_is_held_out_once(count: int, k: int) -> None:
    folds = list(split_folds(list(range(count)), k, 7))
    assert len(folds) == k
    assert sorted(item for _, held_out in folds for item in held_out) == list(range(count))
    assert all(sorted([*training, *held_out]) == list(range(count)) for training, held_out in folds)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (lambda threshold: 1.0, {"balanced": 0.01, "strict": 0.01}),
        (lambda threshold: 0.0, {"balanced": 0.5, "strict": 0.5}),
        (lambda threshold: None, {"balanced": 0.5, "strict": 0.5}),
        (lambda threshold: 0.75, {"balanced": 0.5, "strict": 0.01}),
        (lambda threshold: 0.9 if threshold >= 0.1 else 0.73, {"balanced": 0.1, "strict": 0.01}),
    ],
    ids=["always precise", "never precise", "nothing found", "precise enough for strict", "by threshold"],
)
def test_the_lowest_threshold_with_its_precision_is_chosen(
    precision: Callable[[float], float | None], expected: dict[str, float]
) -> None:
    asked: list[float] = []

    def score_at(threshold: float) -> Scores:
        asked.append(threshold)
        return replace(score([], []), token_precision=precision(threshold))

    assert choose_operating_points(score_at) == expected
    assert asked == list(THRESHOLDS)
    assert PRECISION["strict"] < PRECISION["balanced"]


def test_labels_are_the_masked_types_and_those_that_may_stay() -> None:
    text = "Vane of Leeds in 2020"
    documents = [
        document(text, gold(text, "Vane"), gold(text, "Leeds", "LOCATION", "NO_MASK")),
        document(text, gold(text, "2020", "DATE", "QUASI"), gold(text, "Vane", "PERSON", "NO_MASK")),
    ]
    assert collect_labels(documents) == ("O", "DATE", "PERSON", "-LOCATION", "-PERSON")
    assert collect_labels([]) == ("O",)


def test_a_classifier_needs_english(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no English document"):
        train_transformer([document("Der Kläger.", language="de")], 7, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["light"], ["light", "--gold", "x.jsonl"], ["heavy", "--gold", "x", "--out", "y"]]
)
def test_an_incomplete_command_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m lexveil.nlp.detector_training" in capsys.readouterr().err


def test_the_beginnings_and_ends_of_texts_are_sampled() -> None:
    long, short = "a" * 6000 + "b" * 9000 + "c" * 4000, "short"
    assert sorted(sample_heads_and_tails([long, short], 2, 7)) == ["a" * 6000, "c" * 4000, "short"]
    assert list(sample_heads_and_tails([short], 5, 7)) == ["short"]
    texts = [str(number) for number in range(50)]
    assert list(sample_heads_and_tails(texts, 9, 7)) == list(sample_heads_and_tails(texts, 9, 7))


@pytest.fixture(scope="module")
def names() -> SpacyNames:
    return SpacyNames()


def test_the_names_of_the_model_are_trimmed(names: SpacyNames) -> None:
    text = "The Borrower, Mr Thomas Whitfield, lives in Liverpool. The State of New York governs."
    (spans,) = names.tag([text])
    found = {text[span.start : span.end]: span.type for span in spans}
    assert found.get("Thomas Whitfield") == "PERSON"
    assert found.get("Liverpool") == "LOCATION"
    assert not any("New York" in name or "Borrower" in name for name in found)
    assert (names.languages, names.insists) == (frozenset({"en"}), False)


def test_weak_labels_are_gold_that_training_reads(tmp_path: Path) -> None:
    source, out = tmp_path / "texts.jsonl", tmp_path / "silver.jsonl"
    text = "This agreement is made by Mr Thomas Whitfield, who lives in Liverpool with his family."
    source.write_text(json.dumps({"text": text}) + "\n")
    label_weakly([str(source), "--out", str(out), "--n", "1"])
    (labeled,) = read_documents([out], None, 7)
    assert labeled.text == text
    assert "Thomas Whitfield" in [text[span.start : span.end] for span in labeled.annotations[0]]
