"""First names of public lists, and those that are words as well."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.given_names import is_given_name, may_be_given_name


@pytest.mark.parametrize(
    ("word", "surely", "perhaps"),
    [
        ("katarzyna", True, True),
        ("gordon", True, True),
        ("joy", False, True),
        ("grace", False, True),
        ("tenancy", False, False),
        ("", False, False),
    ],
)
def test_a_first_name_that_is_a_word_is_one_where_a_name_is_expected(
    word: str, surely: bool, perhaps: bool
) -> None:
    assert is_given_name(word) is surely
    assert may_be_given_name(word) is perhaps
