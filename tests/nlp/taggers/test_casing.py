# ruff: noqa: E501  -- cases read best on one line
"""Texts in lower case: chats and transcripts, whose names a detector finds all the same."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.taggers.casing import capitalize_lower_passages, find_lower_passages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hey orsolya did you get it", "hey Orsolya did you get it"),
        ('He wrote "i saw orsolya pell". The Court', 'He wrote "i saw Orsolya Pell". The Court'),
        ("The Court sat.\n\nshe paid orsolya in cash\n\nThe End.", "The Court sat.\n\nshe paid Orsolya in cash\n\nThe End."),
        ("The Buyer shall pay\nthe price and the costs\nof the Seller.", None),
        ("(i) the price; (ii) the costs of the Seller; (iii) item i of the list", None),
        ("REPUBLIC OF NOWHERE V. PELL AND OTHERS", None),
        ("straße und weg der nachbarn sind nass", "straße Und Weg Der Nachbarn Sind Nass"),
        ("李雪独任审判，公开开庭进行了审理", None),
    ],
)  # fmt: skip
def test_passages_without_capitals_get_some(text: str, expected: str | None) -> None:
    assert capitalize_lower_passages(text, "en") == (expected or text)


def test_a_german_quotation_without_capitals_gets_some() -> None:
    text = 'Aus dem Chat: "hast du orsolya gesehen? sie hat die miete nicht bezahlt". Das Gericht'
    quoted = "Hast Du Orsolya Gesehen? Sie Hat Die Miete Nicht Bezahlt"
    changed = capitalize_lower_passages(text, "de")
    assert changed.lower() == text.lower()
    assert quoted.split()[2] in changed
    assert changed.endswith("Das Gericht")
    english = 'He said "the rent was paid in full and the keys were handed over" and left.'
    assert capitalize_lower_passages(english, "en") == english


def test_the_polish_and_is_no_pronoun() -> None:
    text = "Sąd uznał, że powód i pozwany zawarli umowę."
    assert capitalize_lower_passages(text, "pl") == text


def test_passages_of_one_long_line_are_one() -> None:
    chat = "i told orsolya that i left and " * 1000
    text = "The Court sat.\n" * 1200 + f"The Court sat. {chat}The Court rose. " * 2
    passages = find_lower_passages(text, "en")
    assert [text[start:end].strip() for start, end in passages] == [
        f"The Court sat. {chat}".strip(),  # from the beginning of the line
        f"sat. {chat}".strip(),
    ]
    assert capitalize_lower_passages(text, "en").count("i told Orsolya that i left and ") == 2000


@pytest.mark.parametrize("letter", ["ß", "ŉ", "ǰ", "İ", "ﬁ"])
def test_offsets_stay(letter: str) -> None:
    text = f"the neighbours met {letter}na at the {letter} gate"
    assert len(capitalize_lower_passages(text)) == len(text)


@pytest.mark.parametrize("model", ["light", "default"])
def test_names_in_lower_case_are_found_wherever_they_stand(model: str) -> None:
    text = (
        'The log reads: "i spoke to ronja dervish on thursday, and ronja dervish told me the rent was paid". '
        "The Court accepts this."
    )
    spans = Detector.load(model).detect(text)
    people = [text[span.start : span.end] for span in spans if span.type == "PERSON"]
    assert people == ["ronja dervish", "ronja dervish"]
