"""Telephone numbers in parentheses, which the demo's score found readable, and numbers of files."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer


@pytest.mark.parametrize("number", ["+44 20 7946 0141", "+1 206-555-0196", "+49 (0)30 1234567"])
def test_a_number_in_parentheses_is_found_whole(number: str) -> None:
    text = f"Mr Ferguson ({number}) and others."
    found = {text[one.start : one.end] for one in LexveilPhoneRecognizer().find(text)}
    assert number in found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Case: 21-9944 Document: 00118444702 Page: 1", set()),
        ("Case 12-00777 Doc 83 Filed 04/05/12 Entered 04/05/12 10:11:12", set()),
        ("Docket No. 2055550131", set()),
        ("Document: 1. Phone: 206-555-0131", {"206-555-0131"}),
        ("He called. (206) 555-0131", {"(206) 555-0131"}),
    ],
)
def test_what_a_court_stamps_on_a_page_is_no_telephone_number(text: str, numbers: set[str]) -> None:
    assert {text[one.start : one.end] for one in LexveilPhoneRecognizer().find(text)} == numbers
