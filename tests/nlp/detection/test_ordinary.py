"""Ordinary words are no names where a capital proves nothing; a name there stays one."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.detection.ordinary import drop_lower_case, drop_ordinary
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span


def is_dropped(
    text: str, piece: str, kind: str = "ORGANIZATION", language: str = "en", by: str = LEARNED
) -> bool:
    start = text.index(piece)
    return not drop_ordinary(text, [Span(start, start + len(piece), kind, 0.8, by)], language)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("The costs follow.\n\nRelevant Legal Framework\n\nIt is settled.", "Relevant Legal Framework"),
        ("YOUR ACCOUNT IS OVERDUE. PLEASE CALL.", "OVERDUE"),
        ("(REPORTING RESTRICTIONS APPLY) The hearing was held.", "REPORTING RESTRICTIONS APPLY"),
        ("Intake: the lease", "Intake"),
        ("I attach the order.", "I"),
        ("It was late. A freezing order was made.", "A"),
        ("Page 2041 of Bundle C was cited.", "Bundle C"),
        ("THE TENANT SHOULD LEAVE THE GRAZZLE IN THE SINK.", "TENANT SHOULD LEAVE THE GRAZZLE"),
    ],
)
def test_headings_labels_and_shouted_words_are_no_names(text: str, piece: str) -> None:
    assert is_dropped(text, piece)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("The costs follow.\n\nRowena Staplehurst\n\nIt is settled.", "Rowena Staplehurst"),
        ("PLEASE CALL ROWENA STAPLEHURST.", "ROWENA STAPLEHURST"),
        ("He met Ghost at the door.", "Ghost"),  # nothing but a name has a capital there
        ("Banks denied it.", "Banks"),
        ("Mark denied it.", "Mark"),
        ("Mr A denied it.", "A"),
        ("SUNRISE HOUSING\nDefendant\n", "SUNRISE HOUSING"),  # a party
        ("The Ministry Of Housing\nwrote.", "Ministry Of Housing"),
    ],
)
def test_names_stay(text: str, piece: str) -> None:
    assert not is_dropped(text, piece)


def test_only_what_a_model_guesses_is_dropped() -> None:
    assert not is_dropped("Intake: the lease", "Intake", by="OrganisationRecognizer")
    assert not is_dropped("Intake: the lease", "Intake", kind="EMAIL")


def test_of_other_languages_only_words_of_headings_are_known() -> None:
    assert is_dropped("PROTOKÓŁ ROZPRAWY\nStawili się: powód", "PROTOKÓŁ ROZPRAWY", "PERSON", "pl")
    assert not is_dropped("Stern: Ich war es nicht.", "Stern", "PERSON", "de")


@pytest.mark.parametrize("piece", ["Ihre Dateien", "Unser", "Solange Sie", "Diese AGB"])
def test_a_german_pronoun_is_no_part_of_a_name(piece: str) -> None:
    text = "Ihre Dateien gehören Ihnen. Unser Eigentum. Solange Sie zahlen, gelten Diese AGB."
    assert is_dropped(text, piece, "PERSON", "de")
    assert not is_dropped(text, piece, "PERSON", "de", "OwnRecognizer")
    assert not is_dropped(text.replace("Sie", "Siebert"), "Solange Siebert", "PERSON", "de")


def test_frequent_names_are_no_ordinary_words() -> None:
    names = "banks woods young marsh fox ann grace joy hunter wes delgado"
    assert [name for name in names.split() if is_ordinary(name)] == []
    assert is_ordinary("overdue")
    assert is_ordinary("courts")


@pytest.mark.parametrize(
    ("text", "piece", "kept"),
    [
        (
            "Oznacza wartość emitowaną przez GPL po otrzymaniu środków.",
            "wartość emitowaną przez GPL po",
            False,
        ),
        ("Il cliente può consentire ad altri di accedere.", "può consentire ad altri", False),
        ("El Banco de la Nación pagó.", "Banco de la Nación", True),
        ("Firma Quornia Sp. z o.o. zapłaciła.", "Quornia Sp. z o.o.", True),
        ("被告某某公司到庭。", "某某公司", True),
    ],
)
def test_half_sentences_without_capitals_are_no_names_in_unknown_languages(
    text: str, piece: str, kept: bool
) -> None:
    start = text.index(piece)
    span = Span(start, start + len(piece), "ORGANIZATION", 0.9, LEARNED)
    assert drop_lower_case(text, [span]) == ([span] if kept else [])


def test_light_masks_no_half_sentence_of_a_short_polish_document() -> None:
    text = "Pieniądz elektroniczny oznacza wartość pieniężną emitowaną przez GPL po otrzymaniu środków."
    found = Detector.load("light").detect(text)
    assert not [span for span in found if " " in text[span.start : span.end]]
