"""Capitalized words that English lacks: names that neither a detector nor a list knows."""

from __future__ import annotations

import pytest

from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import unkeyed_seed
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span

CLOSING = " The court has considered the matter and reserved its decision on costs."


def check(text: str, *masked: str, language: str = "en") -> CheckedText:
    """Mask a text in which the detector found `masked` only."""
    spans = sorted(
        Span(text.index(name), text.index(name) + len(name), "PERSON", 0.9, "T") for name in masked
    )
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    return anonymize_text(text, spans, build_policy(), scope, language=language)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The judge preferred the account of Zubajos to that of the police.", "Zubajos"),
        ("The judge preferred that of Faith Zubajos.", "Faith Zubajos"),
        ("It is common ground that Zubajos drove the car.", "Zubajos"),
        ("In cross-examination Zubajos accepted that the note was his.", "Zubajos"),
        ("The jury heard from the driver, and Zubajos, who worked the night shift.", "Zubajos"),
        ("Zubajos told me that the penalty goes.", "Zubajos"),
        ("They hired Mrs Quorn as a bookkeeper, and Zubajos resigned after a month.", "Zubajos"),
        ("The owner Zubajos-Drelin signed.", "Zubajos-Drelin"),
        ("She told me that Lê resigned.", "Lê"),
        ("It is common ground that Harper sat beside him.", "Harper"),  # a common surname
        ("THE CLERK, being sworn, deposes and says that RUSH was not there.", "RUSH"),
        ("THE CLERK, being sworn, deposes and says that ZUBAJOS was not there.", "ZUBAJOS"),
        ("Lisa told me that he will not sign.", "Lisa"),  # a first name
    ],
)
def test_a_word_that_does_what_people_do_is_masked(text: str, name: str) -> None:
    outcome = check(text + CLOSING, *(["Quorn"] if "Quorn" in text else []))
    assert dict(outcome.reasons) == {"unseen": 1}
    assert outcome_text(text, outcome) == [name]
    assert name not in outcome.text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Drelin Zubajos is the sole eye witness.", ["Drelin Zubajos"]),
        ("Drelin, Zubajos (witness list, page 4) did not come.", ["Drelin", "Zubajos"]),
        ("Zubajos will follow up on the disclosure list.", ["Zubajos"]),
        ("QUESTIONS MAY BE PUT TO THE AGENT (DRELIN ZUBAJOS) IN WRITING.", ["DRELIN", "ZUBAJOS"]),
    ],
)
def test_two_rare_words_in_a_row_and_one_that_will_act_are_masked(text: str, names: list[str]) -> None:
    outcome = check(text + CLOSING)
    assert outcome_text(text, outcome) == names
    assert dict(outcome.reasons) == {"unseen": len(names)}
    assert not [name for name in names if name in outcome.text]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The letter was read with Zubajos on the same day.", ["Zubajos"]),
        ("Zubajos would be the sole witness.", ["Zubajos"]),
    ],
)
def test_a_rare_word_without_a_cue_is_left_and_told(text: str, names: list[str]) -> None:
    outcome = check(text + CLOSING)
    assert outcome_text(text, outcome) == names
    assert set(outcome.reasons) == {"rare"}
    assert outcome.verdict == "REVIEW"
    assert outcome.text == text + CLOSING


@pytest.mark.parametrize(
    "text",
    [
        "The Constitutional Court (Zubajosgericht) dismissed the complaint.",  # a gloss
        'The word "Zubajos" means a river.',
        "The Zubajos is a river, and in Zubajos there is none.",  # a thing, a place
        "He lives in Drelin, near Zubajos.",
        "It was recorded by Quorn, Zubajosdar, in the presence of the doctor.",  # an office
        "The Vitamin Zubajos Agreement was terminated by each party.",  # in a title
        "Each party may terminate Zubajos Services at any time.",
        "Fumes from the works were noticed. Mitigation is in issue. Set-off is excluded.",
        "It was agreed that Restitution of the sum and Depreciation are deferred.",
        "9.6 Zubajos of goods. Case No: 2009 Zubajos 462.",  # headings, numbers
        "EXHIBIT ZUBAJOS\n\nTHE SUPPLIER SHALL PAY.",  # one word in capitals
        "The supplier zubajos the goods, and Zubajos of goods is allowed.",  # a word of the document
    ],
)
def test_terms_places_and_words_of_english_pass(text: str) -> None:
    outcome = check(text + CLOSING, *(["Quorn"] if "Quorn" in text else []))
    assert (dict(outcome.reasons), outcome.doubts) == ({}, ())


def test_a_first_name_that_is_a_word_is_masked_with_the_surname() -> None:
    for name in ("Max Kemp", "Christian Zubajos", "Drelin Zubajos"):
        outcome = check(f"According to {name}, the roof leaked, and the landlord did nothing." + CLOSING)
        assert outcome.text.startswith("According to [PERSON_1], the roof"), name
        assert outcome.verdict == "REVIEW"


def test_a_surname_that_is_a_word_of_law_is_told_where_it_acts() -> None:
    assert dict(check("In cross-examination Field accepted it." + CLOSING).reasons) == {"ambiguous": 1}
    for text in ("In cross-examination the Field accepted it.", "On a field, Field accepted it."):
        assert check(text + CLOSING).verdict == "PASS"


def test_a_first_name_that_is_a_word_is_half_of_a_masked_name() -> None:
    text = "The judge preferred the account of Gabriel Quorn to that of Blessing Quorn."
    outcome = check(text, "Gabriel Quorn")
    assert "Blessing" not in outcome.text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Die Unterschrift Gržetićs ist gefälscht.", ["Gržetićs"]),
        ("Die Firma (Gržetić) ist gelöscht, Müller und Größe auch.", []),
    ],
)
def test_letters_that_german_lacks_are_told(text: str, names: list[str]) -> None:
    outcome = check(text + " Das Gericht hat die Sache geprüft.", language="de")
    assert (outcome_text(text, outcome), set(outcome.reasons)) == (names, {"rare"} if names else set())


def test_other_languages_have_other_words() -> None:
    text = "Das Gericht hat die Aussage von Zubajos gelesen und die Sache geprüft."
    assert check(text, language="de").verdict == "PASS"


def test_a_surname_that_is_a_word_is_masked_where_it_does_what_people_do() -> None:
    text = "Mr Thomas Bond paid the bond. Bond is charged with fraud."
    outcome = check(text, "Thomas Bond")
    assert dict(outcome.reasons) == {"unseen": 1}
    assert outcome.text.endswith("[PERSON_1] paid the bond. [PERSON_1] is charged with fraud.")
    assert check("Mr Thomas Bond paid the bond. Bond is excluded.", "Thomas Bond").verdict == "PASS"


def outcome_text(text: str, outcome: CheckedText) -> list[str]:
    """Return the doubtful words."""
    return [text[one.start : one.end] for one in outcome.doubts]
