"""One table a family: text, and the pieces the recognizer must find, no more and no less."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.account import LexveilAccountRecognizer, iban_is_valid, luhn_is_valid
from lexveil.nlp.recognizers.age_birth import EnglishAgeBirthRecognizer
from lexveil.nlp.recognizers.base import RuleRecognizer
from lexveil.nlp.recognizers.case_number import find_own_numbers
from lexveil.nlp.recognizers.date import LexveilDateRecognizer
from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
from lexveil.nlp.recognizers.family import EnglishFamilyRecognizer
from lexveil.nlp.recognizers.identity import LexveilIdentityRecognizer, chinese_id_is_valid
from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer


def pieces(recognizer: RuleRecognizer, text: str) -> set[str]:
    return {text[f.start : f.end] for f in recognizer.find(text)}


@pytest.mark.parametrize(
    ("recognizer", "text", "found"),
    [
        (LexveilEmailRecognizer, "write to a.roe@mail.example.org, please", {"a.roe@mail.example.org"}),
        (LexveilEmailRecognizer, "an @ alone", set()),
        (LexveilPhoneRecognizer, "call (785) 555-0142 now", {"(785) 555-0142"}),
        (LexveilPhoneRecognizer, "电话13800138000", {"13800138000"}),
        (LexveilPhoneRecognizer, "Section 12.3 and 2019-2020", set()),
        (EnglishAgeBirthRecognizer, "Roe, aged 47, left", {"47"}),
        (EnglishAgeBirthRecognizer, "She is 73 years old.", {"73 years old"}),
        (EnglishAgeBirthRecognizer, "persons under 18 years of age", set()),
        (EnglishAgeBirthRecognizer, "born on 4 May 1972 in", {"4 May 1972"}),
        (LexveilDateRecognizer, "on 4 May 1972 and 2019-03-04", {"4 May 1972", "2019-03-04"}),
        (LexveilDateRecognizer, "The Lender may assign. Section 5 May be amended.", set()),
        (LexveilDateRecognizer, "2018年5月1日", {"2018年5月1日"}),
        (EnglishFamilyRecognizer, "Roe and his wife left", {"his wife"}),
        (EnglishFamilyRecognizer, "husband and wife", set()),
        (LexveilIdentityRecognizer, "SSN 219-09-9999", {"219-09-9999"}),
        (LexveilIdentityRecognizer, "000-12-3456 is none", set()),
        (LexveilAccountRecognizer, "to DE89 3704 0044 0532 0130 00 today", {"DE89 3704 0044 0532 0130 00"}),
        (LexveilAccountRecognizer, "card 4111 1111 1111 1112 is none", set()),
    ],
)
def test_table(recognizer: type[RuleRecognizer], text: str, found: set[str]) -> None:
    assert pieces(recognizer(), text) == found


def test_check_digits() -> None:
    assert chinese_id_is_valid("11010519491231002X")
    assert not chinese_id_is_valid("110105194912310021")
    assert iban_is_valid("GB82 WEST 1234 5698 7654 32")
    assert not iban_is_valid("GB82 WEST 1234 5698 7654 33")
    assert luhn_is_valid("4012888888881881")
    assert not luhn_is_valid("4012888888881882")


def test_own_numbers_stand_at_the_head() -> None:
    assert find_own_numbers("CASE OF X\n\n(Application no. 1234/05)\n") == {"1234/05"}
    assert find_own_numbers("The parties rely on Vane v. Turkey, no. 1234/05.") == frozenset()
