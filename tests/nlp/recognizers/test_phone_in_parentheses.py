"""A number with its country code in parentheses: the score of the demo found one in twenty readable."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer


@pytest.mark.parametrize("number", ["+44 20 7946 0141", "+1 206-555-0196", "+49 (0)30 1234567"])
def test_a_number_in_parentheses_is_found_whole(number: str) -> None:
    text = f"Mr Ferguson ({number}) and others."
    found = {text[one.start : one.end] for one in LexveilPhoneRecognizer().find(text)}
    assert number in found
