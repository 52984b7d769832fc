"""Words that are probably names by several weak signs, none of which suffices."""

from __future__ import annotations

import pytest

from lexveil.nlp.masking.anonymize import anonymize_text
from lexveil.nlp.masking.folding import find_lower_words
from lexveil.nlp.masking.mask import unkeyed_seed
from lexveil.nlp.masking.name_evidence import find_likely_names
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import CUT

CLOSING = " The court has considered the matter and reserved its decision on costs."


def tell(text: str) -> list[str]:
    shown = text.replace("_", CUT) + CLOSING
    return [shown[start:end] for start, end in find_likely_names(shown, find_lower_words(shown))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("In cross-examination Weeks accepted that the note was his.", "Weeks"),
        ("Ms. _ then called Virginia, her sister, for a ride.", "Virginia"),
        ("The judge preferred the account of _ Mills to that of _.", "Mills"),
        ("It was Joe Date who handed over the deed.", "Joe"),
        ("As Diego said on the phone, the invoice went to _ twice.", "Diego"),
        ("It is common ground that Delle drove the car and that _ sat beside him.", "Delle"),
    ],
)
def test_tells_names_that_are_words_or_in_few_lists(text: str, name: str) -> None:
    assert name in tell(text)


@pytest.mark.parametrize(
    "text",
    [
        "_ is a Delaware corporation organized under the laws of the State of Delaware.",
        "The Borrower shall pay the Lender interest on the first Business Day of May and June.",
        "The dying declaration was recorded by _, Tehsildar, in the presence of the doctor.",
        "The Respondent did not follow the Code of Practice, and the Tribunal told it so.",
        "Counsel for the Crown accepted that Justice requires no more.",
        "On the Ministry's case the Board paid the sum in German marks.",
    ],
)
def test_tells_nothing_else(text: str) -> None:
    assert tell(text) == []


def test_the_document_is_for_review_and_the_place_is_told() -> None:
    text = "In cross-examination Weeks accepted that the note was his." + CLOSING
    checked = anonymize_text(
        text, [], build_policy(), Scope([DocumentNames.read(text, [])], unkeyed_seed), language="en"
    )
    assert (checked.verdict, dict(checked.reasons)) == ("REVIEW", {"likely": 1})
    assert [text[one.start : one.end] for one in checked.doubts] == ["Weeks"]
