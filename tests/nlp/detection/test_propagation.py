# ruff: noqa: E501  -- tables of texts read best on one line each
"""A name found once is found everywhere. All people and companies are invented."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.overlaps import resolve_overlaps
from lexveil.nlp.detection.propagation import drop_implausible, propagate
from lexveil.nlp.recognizers.scores import GUESSED, LEARNED
from lexveil.nlp.text import Span

FILLER = "the sum was paid in full and on time as agreed between them\n" * 5_000


def mentions(text: str, name: str, kind: str = "PERSON", score: float = 0.9, by: str = LEARNED) -> list[str]:
    """Return all mentions that are found if a detector finds the first one only."""
    start = text.index(name)
    spans = resolve_overlaps(text, propagate(text, [Span(start, start + len(name), kind, score, by)]))
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Osgood Pell came. Later Pell left with Osgood.", ["Osgood Pell", "Pell", "Osgood"]),
        ("Osgood Pell came; OSGOOD PELL left.", ["Osgood Pell", "OSGOOD PELL"]),
        ("Osgood Pell came; osgood pell left.", ["Osgood Pell"]),
        ("Osgood Pell came; then O. Pell.", ["Osgood Pell", "O. Pell"]),
        ("Osgood Pell came; then J. R. Pell.", ["Osgood Pell", "J. R. Pell"]),
        ("Osgood Pell came; in Osgood-\nPell's house.", ["Osgood Pell", "Osgood-\nPell"]),
        ("Osgood Pell came; Pellworm is an island.", ["Osgood Pell"]),
        ("Osgood Friedrich Pell; Osgood Pell left.", ["Osgood Friedrich Pell", "Osgood Pell"]),
        ("Osgood Pell Jr. came; Osgood Pell left.", ["Osgood Pell Jr", "Osgood Pell"]),
        ("Ingeborg Österreich klagt. Österreich zahlt.", ["Ingeborg Österreich", "Österreich"]),
    ],
)
def test_forms_of_a_person(text: str, expected: list[str]) -> None:
    name = expected[0]
    assert mentions(text, name) == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("a bond of Mr Bond", "Bond", []),
        ("James Bond gave a bond. Bond left; he met Bond.", "James Bond", ["James Bond", "Bond"]),
        ("James Will made a will. Will left.", "James Will", ["James Will"]),
        ("Mary Court came. Court rose.", "Mary Court", ["Mary Court"]),
        ("Paul England came. England won.", "Paul England", ["Paul England"]),
        ("Ms. Li was kind. They met Li, and Li met Wu. Li left.", "Li", ["Li", "Li"]),
        ("Write to pell@example.org. Osgood Pell, then Pell.", "Osgood Pell", ["Osgood Pell", "Pell"]),
    ],
    ids=[
        "a word",
        "within a sentence",
        "at its beginning",
        "drafting",
        "jurisdiction",
        "two letters",
        "address",
    ],
)
def test_a_name_that_is_a_word_too(text: str, name: str, expected: list[str]) -> None:
    assert mentions(text, name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Quillfeather Freight LLC paid. Quillfeather Freight owes.", ["Quillfeather Freight LLC", "Quillfeather Freight"]),
        ("Quillfeather L.L.C. paid. Quillfeather owes.", ["Quillfeather L.L.C", "Quillfeather"]),
        ("Süßwaren Müller GmbH zahlt. Süßwaren Müller schuldet.", ["Süßwaren Müller GmbH", "Süßwaren Müller"]),
        ('Quillfeather LLC ("Quill") paid. Quill owes.', ["Quillfeather LLC", "Quill", "Quill"]),
        ('Quillfeather LLC (the "Quill") paid; QUILL owes.', ["Quillfeather LLC", "Quill", "QUILL"]),
        ("Quillfeather Freight Lines (QFL) paid. QFL owes.", ["Quillfeather Freight Lines", "QFL", "QFL"]),
        ("Standard LLC paid. Standard terms apply; any standard.", ["Standard LLC"]),
    ],
)  # fmt: skip
def test_forms_of_a_company(text: str, expected: list[str]) -> None:
    assert mentions(text, expected[0], "ORGANIZATION") == expected


@pytest.mark.parametrize(
    ("text", "name", "kind", "expected"),
    [
        ("He lives in Elmsworth. Elmsworth is far.", "Elmsworth", "LOCATION", ["Elmsworth", "Elmsworth"]),
        ("No. 1:19-cv-012 and 1:19-CV-012", "1:19-cv-012", "CASE_NUMBER", ["1:19-cv-012", "1:19-CV-012"]),
        ("On 3 May 2020 and on 3 May 2020", "3 May 2020", "DATE", []),
        ("aged 47, then 47", "47", "AGE", []),
        ("被告人赵立强，证人见赵立强。", "赵立强", "PERSON", ["赵立强", "赵立强"]),
        ("被告人赵，赵某", "赵", "PERSON", []),
        ("姓欧阳的欧阳", "欧阳", "PERSON", []),
        ("云帆公司与云帆公司", "云帆公司", "ORGANIZATION", ["云帆公司", "云帆公司"]),
    ],
)
def test_names_of_other_types_and_scripts(text: str, name: str, kind: str, expected: list[str]) -> None:
    assert mentions(text, name, kind) == expected


@pytest.mark.parametrize(
    ("score", "by", "count"), [(0.4, LEARNED, 0), (0.6, LEARNED, 2), (0.4, "PersonRecognizer", 2)]
)
def test_a_model_must_find_a_name_likely(score: float, by: str, count: int) -> None:
    text = "Osgood Pell came, and Osgood Pell left."
    assert len(mentions(text, "Osgood Pell", score=score, by=by)) == count


def test_a_first_name_of_a_list_makes_an_unlikely_name_one() -> None:
    text = "It was Pauline Court who called. Ms Court left the court."
    assert mentions(text, "Pauline Court", score=0.3, by=LEARNED) == ["Pauline Court", "Court"]
    assert mentions(text.replace("Pauline", "Quillon"), "Quillon Court", score=0.3, by=LEARNED) == []


def test_two_names_are_propagated_with_their_own_types() -> None:
    text = "Osgood Pell of Elmsworth; Pell left Elmsworth."
    found = [Span(0, 11, "PERSON", 0.9, LEARNED), Span(15, 24, "LOCATION", 0.9, LEARNED)]
    spans = resolve_overlaps(text, propagate(text, found))
    assert [(text[s.start : s.end], s.type) for s in spans][2:] == [
        ("Pell", "PERSON"),
        ("Elmsworth", "LOCATION"),
    ]


def test_nothing_found_gives_nothing() -> None:
    assert propagate("Osgood Pell came.", []) == []


def test_a_name_without_a_word_beside_a_quotation_in_lower_case() -> None:
    """A model takes a sign for a name, and quotations in lower case are searched for names."""
    text = '§ wrote "nobody came to see pell that day", and Osgood Pell agreed.'
    start = text.index("Osgood Pell")
    sign, name = Span(0, 1, "PERSON", 0.9, "model"), Span(start, start + 11, "PERSON", 0.9, "model")
    found = propagate(text, [sign, name])
    assert "pell" in {text[span.start : span.end] for span in found}


def test_a_long_text_is_read_to_its_end() -> None:
    text = "Osgood Pell\n" + FILLER + "Then Osgood Pell\n" + FILLER + "Osgood Pell"
    assert len(text) > 2 << 18
    assert mentions(text, "Osgood Pell") == ["Osgood Pell"] * 3


@pytest.mark.parametrize("shift", range(0, 24, 3))
def test_a_name_across_two_stretches(shift: int) -> None:
    before = "Osgood Pell " + "so " * ((1 << 18) // 3 - 6)
    text = before + "x" * shift + " to Osgood Pell and so on " + "so " * 99
    assert mentions(text, "Osgood Pell") == ["Osgood Pell"] * 2


@pytest.mark.parametrize(
    ("text", "guess", "kept"),
    [
        ("Osgood Pell came.", "Osgood Pell", True),
        ("The Court heard the Borrower.", "Borrower", False),
        ("The Borrowers paid.", "Borrowers", False),
        ("A Harbor is a harbor.", "Harbor", False),
        ("Osgood Harbor saw a harbor.", "Osgood Harbor", True),
        ('"Permitted Zone" means the yard. The Permitted Zone is closed.', "Permitted Zone", False),
        ('the yard (the "Zone"), and the Zone', "Zone", False),
        ("see harbor@example.org; Harbor came.", "Harbor", True),
        ("he is called pell-mell", "pell-mell", False),
    ],
    ids=["name", "drafting", "plural", "lower case", "one word of two", "defined", "defined in parentheses", "address", "no capital"],
)  # fmt: skip
def test_a_document_may_contradict_a_guess(text: str, guess: str, kept: bool) -> None:
    start = text.rindex(guess)
    span = Span(start, start + len(guess), "PERSON", GUESSED, LEARNED)
    assert drop_implausible(text, [span]) == [span] * kept
    sure = Span(start, start + len(guess), "PERSON", GUESSED + 0.1, LEARNED)
    assert drop_implausible(text, [sure]) == [sure]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "pl",
            "Jan Quillski wniósł. Sąd nie wierzył Quillskiemu ani Janowi.",
            ["Jan Quillski", "Quillskiemu", "Janowi"],
        ),
        (
            "cs",
            "Petr Quillák přišel. S Quillákem mluvil Petrův soused.",
            ["Petr Quillák", "Quillákem", "Petrův"],
        ),
        ("fi", "Eero Quillvirta tuli. Quillvirran mukaan hän maksoi.", ["Eero Quillvirta", "Quillvirran"]),
        ("pl", "Jan Quillski wniósł o zapłatę. Polska i Quillandia.", ["Jan Quillski"]),
        ("en", "Jan Quillski sued. Quillskiego", ["Jan Quillski"]),
        ("fr", "Jean Quill est venu. M. Quill a payé, J. Quill aussi.", ["Jean Quill", "Quill", "J. Quill"]),
    ],
)
def test_names_in_another_case_are_found(language: str, text: str, expected: list[str]) -> None:
    span = Span(0, len(expected[0]), "PERSON", 0.9, LEARNED)
    spans = resolve_overlaps(text, propagate(text, [span], language=language))
    assert [text[s.start : s.end] for s in spans] == expected


def test_names_of_files_have_their_words_joined() -> None:
    text = "Anna Quill sent Lease_of_Anna_Quill.pdf and Quill-2.pdf."
    assert mentions(text, "Anna Quill") == ["Anna Quill", "Anna_Quill", "Quill"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Osgood Pell (im Folgenden: O.P.) kam. O.P. ging.", ["Osgood Pell", "O.P.", "O.P."]),
        ('Osgood Pell (nachfolgend "O. P.") kam. O. P. ging.', ["Osgood Pell", "O. P.", "O. P."]),
        ("Osgood Pell (OP) came. OP left, as did TOP.", ["Osgood Pell", "OP", "OP"]),
        ("Osgood ter Pell [OtP] came. OtP left.", ["Osgood ter Pell", "OtP", "OtP"]),
        ("Osgood Pell (CEO) came. The CEO left. He is in the EU.", ["Osgood Pell"]),
        ("Osgood Pell (OK) came. OK, said the CEO.", ["Osgood Pell"]),
        ("Osgood (Ozzie) Pell came. Ozzie left.", ["Osgood (Ozzie) Pell", "Ozzie"]),
    ],
)
def test_the_short_name_that_a_text_gives_to_a_person(text: str, expected: list[str]) -> None:
    assert mentions(text, expected[0]) == expected
