# ruff: noqa: E501  -- cases read best on one line
"""What a learned detector calls something else than a person, and the document knows better."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.people import (
    drop_contradicted,
    retype_people,
    split_people,
    trim_people,
    widen_people,
)
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span


def spans_in(text: str, *parts: tuple[str, str]) -> list[Span]:
    spans: list[Span] = []
    for surface, kind in parts:
        start = text.index(surface, spans[-1].end if spans else 0)
        spans.append(Span(start, start + len(surface), kind, 0.9, LEARNED))
    return spans


@pytest.mark.parametrize(
    ("text", "parts", "kinds"),
    [
        ("Perpetua Quiller came", (("Perpetua", "ORGANIZATION"), ("Quiller", "PERSON")), ["PERSON", "PERSON"]),
        ("Ann Birt paid. Birt left", (("Ann Birt", "PERSON"), ("Birt", "LOCATION")), ["PERSON", "PERSON"]),
        ("before JUDGE THISTLE sat", (("THISTLE", "ORGANIZATION"),), ["PERSON"]),
        ("Ann Birt of Birt Ltd", (("Ann Birt", "PERSON"), ("Birt Ltd", "ORGANIZATION")), ["PERSON", "ORGANIZATION"]),
        ("the Thistle Bank paid", (("Thistle Bank", "ORGANIZATION"),), ["ORGANIZATION"]),
        ("Ann Birt, Quillon Partners", (("Ann Birt", "PERSON"), ("Quillon Partners", "ORGANIZATION")), ["PERSON", "ORGANIZATION"]),
    ],
)  # fmt: skip
def test_a_name_beside_or_of_a_person_is_one(
    text: str, parts: tuple[tuple[str, str], ...], kinds: list[str]
) -> None:
    assert [span.type for span in retype_people(text, spans_in(text, *parts))] == kinds


@pytest.mark.parametrize(
    ("text", "surface", "name"),
    [
        ("JUDGE QUELLON KC\nApproved Judgment", "JUDGE QUELLON KC\nApproved", "JUDGE QUELLON KC"),
        ("ADA M. BIRT\nCLERK\nOFFICE", "ADA M. BIRT\nCLERK", "ADA M. BIRT"),
        ("BIRT, Justice. We hold", "BIRT, Justice", "BIRT"),
        ("Mr Thistle's Approach", "Thistle's Approach", "Thistle"),
        ("(“Thistle Decl.”)", "Thistle Decl", "Thistle"),
        ("Ada\nThistle came", "Ada\nThistle", "Ada\nThistle"),
        ("Ada O'Thistle came", "Ada O'Thistle", "Ada O'Thistle"),
    ],
)
def test_what_follows_a_name_on_a_page_is_no_part_of_it(text: str, surface: str, name: str) -> None:
    (span,) = trim_people(text, spans_in(text, (surface, "PERSON")))
    assert text[span.start : span.end] == name


@pytest.mark.parametrize(("text", "kept"), [("Approved Judgment", False), ("Mr Approved said", True)])
def test_a_word_of_headings_alone_is_nobody(text: str, kept: bool) -> None:
    spans = spans_in(text, ("Approved", "PERSON"))
    assert trim_people(text, spans) == (spans if kept else [])


@pytest.mark.parametrize(
    ("text", "surface", "whole"),
    [
        ("Jordan W. Lord\tDirector", "Jordan W", "Jordan W. Lord"),
        ("1. Jennifer D. West\n2. Ann Birt", "Jennifer D.", "Jennifer D. West"),
        ("(Ada B. West-Lord)", "Ada B", "Ada B. West-Lord"),
        ("It was paid by Jordan W. The court agreed.", "Jordan W", "Jordan W"),
        ("Jordan W. Officer\tOakfield", "Jordan W", "Jordan W"),
        ("Jordan W. Lord", "W", "W"),
    ],
)
def test_a_surname_that_is_also_a_word_belongs_to_the_initial_before_it(
    text: str, surface: str, whole: str
) -> None:
    (span,) = widen_people(text, spans_in(text, (surface, "PERSON")))
    assert text[span.start : span.end] == whole


@pytest.mark.parametrize("recognizer", [LEARNED, "PersonRecognizer"])
def test_a_state_is_a_place_whoever_takes_it_for_a_person(recognizer: str) -> None:
    text = "DIRECTOR OF THE NORTH CAROLINA STATE BUREAU"
    start = text.index("NORTH")
    span = Span(start, start + len("NORTH CAROLINA"), "PERSON", 0.8, recognizer)
    assert [one.type for one in retype_people(text, [span])] == ["LOCATION"]


def test_a_title_is_no_part_of_a_name() -> None:
    text = "der Zeuge Herr Wendelin Abel sagte"
    (span,) = retype_people(text, spans_in(text, ("Herr Wendelin Abel", "PERSON")))
    assert text[span.start : span.end] == "Wendelin Abel"


@pytest.mark.parametrize(
    ("text", "surface", "parts"),
    [
        ("Ann Birt. Quillon left", "Ann Birt. Quillon", ["Ann Birt", "Quillon"]),
        ("Prof. Quillon left", "Prof. Quillon", ["Prof. Quillon"]),
        ("ANN BIRT\nAppellant", "ANN BIRT\nAppellant", ["ANN BIRT"]),
        ("wniosła Ann Birt przeciw", "wniosła Ann Birt przeciw", ["Ann Birt"]),
        ("van der Birt and Roscoe Quillon jr.", "Roscoe Quillon jr", ["Roscoe Quillon jr"]),
        ("Viele Grüße\nBirt", "Viele Grüße\nBirt", ["Birt"]),
        ("Birt, Ann\nTenant: Quillon", "Birt, Ann\nTenant", ["Birt, Ann"]),
    ],
)
def test_a_name_ends_with_its_sentence(text: str, surface: str, parts: list[str]) -> None:
    spans = split_people(text, spans_in(text, (surface, "PERSON")))
    assert [text[span.start : span.end] for span in spans] == parts


def test_a_title_or_an_and_beside_a_name_is_dropped() -> None:
    text = "Herr Birt and Quillon"
    spans = spans_in(
        text, ("Herr", "ORGANIZATION"), ("Birt", "PERSON"), ("and", "ORGANIZATION"), ("Quillon", "PERSON")
    )
    assert [text[s.start : s.end] for s in retype_people(text, spans)] == ["Birt", "Quillon"]


def test_monsieur_is_no_initial() -> None:
    text = "M. Quillon et Mme Birt"
    spans = spans_in(text, ("M. Quillon", "PERSON"), ("Mme Birt", "PERSON"))
    assert [text[s.start : s.end] for s in retype_people(text, spans, language="fr")] == ["Quillon", "Birt"]


def test_a_name_that_a_line_end_cuts_is_whole() -> None:
    text = "Ms Ponsonby-\nQuill and Mr Wriothes-\nley came"
    spans = spans_in(text, ("Ponsonby-", "PERSON"), ("Wriothes-", "PERSON"))
    assert [text[s.start : s.end] for s in retype_people(text, spans)] == [
        "Ponsonby-\nQuill",
        "Wriothes-\nley",
    ]


@pytest.mark.parametrize(
    ("text", "surface", "kind", "contradicted"),
    [
        ("see\nMUST PUT THE BINS OUT", "BINS", "QUANTITY", True),
        ("In 2010 ATS Vermani was noted", "ATS Vermani", "QUANTITY", False),
        ("paid 40 pounds", "40 pounds", "QUANTITY", False),
        ("He founded the lotto syndicate", "lotto syndicate", "ORGANIZATION", True),
        ("said Mr Fetherstone-\nhaugh", "haugh", "PERSON", False),
        ("he is a farmer", "farmer", "DEMOGRAPHIC", False),
    ],
)
def test_letters_contradict_a_finding(text: str, surface: str, kind: str, contradicted: bool) -> None:
    (span,) = spans_in(text, (surface, kind))
    found = Span(span.start + 15, span.end + 15, kind, 0.9, LEARNED)
    kept = drop_contradicted("The Court sat. " + text, [found])
    assert kept == ([] if contradicted else [found])


def test_a_pronoun_of_another_language_contradicts_nothing() -> None:
    text = "Gisteren heeft Michael van Es beroep ingesteld"
    spans = spans_in(text, ("Michael van Es", "PERSON"))
    assert drop_contradicted(text, spans, "nl") == spans
    assert drop_contradicted(text, spans, "de") == []


@pytest.mark.parametrize(
    ("text", "parts", "language", "people"),
    [
        ("appartenait à Victoire Paris, qui", [("Victoire Paris", "LOCATION")], "fr", ["Victoire Paris"]),
        (
            "o benefício de Oliver Porto.",
            [("Oliver", "PERSON"), ("Porto", "LOCATION")],
            "pt",
            ["Oliver", "Porto"],
        ),
        ("denunciou Lara da Quintela.", [("Lara", "PERSON")], "pt", ["Lara da Quintela"]),
        ("mevrouw Mick van het Ketelbuyt is", [("Mick", "PERSON")], "nl", ["Mick van het Ketelbuyt"]),
        ("a filha de Lara do Tribunal", [("Lara", "PERSON")], "pt", ["Lara"]),
        ("en Belo Horizonte", [("Belo Horizonte", "LOCATION")], "pt", []),
        ("en casa de Ana en Madrid", [("Ana", "PERSON"), ("Madrid", "LOCATION")], "es", ["Ana"]),
    ],
)
def test_a_first_name_has_the_surname_beside_it(
    text: str, parts: list[tuple[str, str]], language: str, people: list[str]
) -> None:
    spans = retype_people(text, spans_in(text, *parts), language=language)
    found = [text[s.start : s.end] for s in spans if s.type == "PERSON"]
    assert found == people


@pytest.mark.parametrize(
    ("text", "found", "whole"),
    [
        ("Best, Tahir-wala left", "Tahir", "Tahir-wala"),
        ("Ann Birt-Quill-Roe came", "Ann Birt", "Ann Birt-Quill-Roe"),
        ("a Birt-led group", "Birt", "Birt"),
        ("the Birt-style order", "Birt", "Birt"),
        ("Birt - who came", "Birt", "Birt"),
        ("Birt-7 is a code", "Birt", "Birt"),
    ],
)
def test_a_double_name_is_whole(text: str, found: str, whole: str) -> None:
    (span,) = retype_people(text, spans_in(text, (found, "PERSON")))
    assert text[span.start : span.end] == whole


def test_a_company_in_a_chat_is_a_person_unless_it_shows_what_it_is() -> None:
    written = "i saw vedat quorn at quorn logistics ltd"
    cased = "i saw Vedat Quorn at Quorn Logistics Ltd"
    parts = (("Vedat Quorn", "ORGANIZATION"), ("Quorn Logistics Ltd", "ORGANIZATION"))
    kinds = [span.type for span in retype_people(cased, spans_in(cased, *parts), written)]
    assert kinds == ["PERSON", "ORGANIZATION"]


@pytest.mark.parametrize(
    ("text", "rules", "learned", "expected"),
    [
        ("指派李志强律师", ["李志"], ["李志强"], {"李志强"}),
        ("原告葛兰芝诉称", ["葛兰芝诉"], ["葛兰芝"], {"葛兰芝诉", "葛兰芝"}),
        ("葛兰芝孟勇到庭", ["葛兰芝", "孟勇"], ["葛兰芝孟勇"], {"葛兰芝", "孟勇", "葛兰芝孟勇"}),
        ("葛兰芝到庭", [], ["葛兰芝"], {"葛兰芝"}),
        ("Ann Birt came", ["Ann"], ["Ann Birt"], {"Ann", "Ann Birt"}),
    ],
)
def test_a_chinese_name_is_as_long_as_the_longer_reading(
    text: str, rules: list[str], learned: list[str], expected: set[str]
) -> None:
    spans = [
        Span(text.index(name), text.index(name) + len(name), "PERSON", 0.8, recognizer)
        for names, recognizer in ((rules, "ChinesePersonRecognizer"), (learned, LEARNED))
        for name in names
    ]
    assert {text[span.start : span.end] for span in widen_people(text, spans)} == expected


@pytest.mark.parametrize(
    ("text", "surface", "whole"),
    [
        ("She says that Jordan\nQuill had left.", "Jordan", "Jordan\nQuill"),
        ("Jordan\nQuill had left.", "Jordan", "Jordan"),  # a line of its own
        ("She says that Jordan\nQuill\nTenant", "Jordan", "Jordan"),
        ("sie klagt gegen Hans-H. van den Quill wegen Mietzins", "Hans-H.", "Hans-H. van den Quill"),
        ("Ann van Quill came", "Ann", "Ann van Quill"),
        ("Ann van Quillon Road", "Ann van Quillon", "Ann van Quillon"),
    ],
)
def test_the_rest_of_a_surname_belongs_to_it(text: str, surface: str, whole: str) -> None:
    (span,) = retype_people(text, spans_in(text, (surface, "PERSON")), language="en")
    assert text[span.start : span.end] == whole


def test_a_german_noun_on_the_next_line_is_no_surname() -> None:
    text = "sie sagt, dass Jordan\nBriefe schrieb"
    (span,) = retype_people(text, spans_in(text, ("Jordan", "PERSON")), language="de")
    assert text[span.start : span.end] == "Jordan"


def test_a_company_in_quotation_marks_is_whole() -> None:
    text = 'le café « Au Vieux Moulin » et le bar "Le Moulin" ferment, dit Le Moulin'
    spans = spans_in(text, ("Vieux Moulin", "ORGANIZATION"), ("Moulin", "ORGANIZATION"))
    assert text[retype_people(text, spans)[0].start :].startswith("Au Vieux Moulin »")
