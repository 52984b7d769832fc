"""What the multilingual detector learns from: names in their places, and none that is kept for measuring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lexveil.nlp.detector_training.multilingual import (
    assemble_documents,
    is_held_out,
    load_names,
    write_sentences,
)
from lexveil.nlp.detector_training.transformer import UNKNOWN, collect_labels
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan

PROBES = Path(__file__).parents[3] / "benchmarks" / "gold"
LANGUAGES = {"bs", "cs", "de", "en", "es", "fr", "hr", "it", "nl", "pl", "pt", "ro", "sr", "sv"}


def document(name: str, language: str, text: str, *spans: tuple[str, str]) -> GoldDocument:
    marked = (GoldSpan(text.index(s), text.index(s) + len(s), kind, s, "DIRECT") for s, kind in spans)
    return GoldDocument(name, text, language, (tuple(sorted(marked)),))


@pytest.fixture(scope="module")
def documents() -> list[GoldDocument]:
    return list(write_sentences(3, 12))


def test_the_same_seed_gives_the_same_sentences(documents: list[GoldDocument]) -> None:
    assert list(write_sentences(3, 12)) == documents


def test_sentences_mark_every_name_in_its_place_in_every_language(documents: list[GoldDocument]) -> None:
    assert {document.language for document in documents} == LANGUAGES
    for one in documents:
        assert not re.search(r"[{}]", one.text)
        for span in one.annotations[0]:
            if not re.search("[а-шА-Ш]", one.text):
                assert one.text[span.start : span.end] == span.entity


def test_serbian_is_written_in_both_alphabets(documents: list[GoldDocument]) -> None:
    serbian = [one for one in documents if one.language == "sr"]
    cyrillic = [one for one in serbian if re.search("[а-ш]{3}", one.text)]
    assert 0 < len(cyrillic) < len(serbian)
    for one in cyrillic:
        assert not re.search(r"[bčdfgšž]", one.text)
        for span in one.annotations[0]:
            piece = one.text[span.start : span.end]
            assert piece
            assert piece == piece.strip()
            # Not in the middle of a word.
            assert not (one.text[span.start - 1 : span.start] + piece[0]).isalpha() or span.start == 0


def test_names_for_measuring_are_never_trained_on() -> None:
    for locale in ("pl_PL", "hr_HR", "fr_FR"):
        training, measuring = load_names(locale), load_names(locale, held_out=True)
        assert not set(training.first) & set(measuring.first)
        assert not set(training.last) & set(measuring.last)
        assert measuring.first
        assert measuring.last


def test_no_probe_is_a_sentence_to_train_on() -> None:
    frames = Path(__file__).parents[3] / "nlp" / "detector_training" / "frames_multilingual.txt"

    def words(path: Path) -> set[str]:
        lines = (re.sub(r"\{.*?\}|[^\w ]", "", line[4:]) for line in path.read_text("utf-8").splitlines())
        return {" ".join(line.split()) for line in lines if line.strip()}

    trained = words(frames)
    assert len(trained) > 300
    for name in ("frames_continental.txt", "passages.txt"):
        assert not {line for line in words(PROBES / name) if len(line) > 12} & trained


def test_what_is_held_out_is_not_learnt_and_organizations_are_unknown_where_the_gold_is_silent() -> None:
    text = "O Banco do Sul contratou Ana Prado. " * 60
    documents = [
        document(f"case-{number}", "pt", text, ("Banco do Sul", "ORGANIZATION"), ("Ana Prado", "PERSON"))
        for number in range(10)
    ]
    kept = {one.id for one in documents if not is_held_out(one)}
    assert 0 < len(kept) < 10
    learnt = [one for one in assemble_documents(documents, 7, 0) if one.language == "pt"]
    assert {re.sub(r"-\d+$", "", one.id) for one in learnt} <= kept
    assert {span.type for one in learnt for span in one.annotations[0]} == {UNKNOWN, "PERSON"}
    assert collect_labels(learnt) == ("O", "PERSON")


def test_polish_and_serbian_names_are_declined_and_every_language_names_people(
    documents: list[GoldDocument],
) -> None:
    people: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    for one in documents:
        people[one.language].update(s.entity for s in one.annotations[0] if s.type == "PERSON")
    assert min(len(names) for names in people.values()) > 50
    # As in "Sąd dał wiarę zeznaniom Anny Kowalskiej" and "iskazu Marka Horvata".
    assert any(re.search(r"(?:skiej|ską|ego|owi)$", name) for name in people["pl"])
    assert any(re.search(r"\w+(?:om|u) \w+(?:om|u)$", name) for name in people["sr"])
    assert any(name.isupper() and len(name) > 5 for name in people["fr"])
    assert any(re.match(r"[A-Z]\. ", name) for name in people["nl"])
    assert any(len(name.split()) == 3 for name in people["es"])
