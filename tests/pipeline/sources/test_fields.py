"""Fields of records as words: ids, splits and owners read the same values as the same words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lexveil.pipeline.sources.fields import read_label, read_word, read_words


@pytest.mark.parametrize(
    ("value", "word"),
    [(" 7 ", "7"), (7, "7"), (Decimal("7.50"), "7.50"), (True, "True"), (2.5, "2.5")],
)
def test_a_value_is_one_word_wherever_it_is_read(value: object, word: str) -> None:
    assert read_word({"a": {"b": value}}, "a.b") == word
    assert read_words({"a": [value, None]}, "a") == [word, None]


@pytest.mark.parametrize(
    "value", [None, "", "  ", float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), {"b": 1}]
)
def test_what_is_missing_is_none(value: object) -> None:
    assert read_word({"a": value}, "a") is None
    assert read_words({"a": value}, "a") == [None]


def test_without_a_name_there_is_no_word() -> None:
    assert read_word({"a": "b"}, None) is None
    assert read_words({"a": "b"}, None) == [None]


def test_a_list_in_a_csv_cell_is_a_list() -> None:
    assert read_words({"a": '["x", 2]'}, "a") == ["x", "2"]
    assert read_words({"a": "[x"}, "a") == ["[x"]


def test_the_class_of_a_record_is_under_its_usual_names() -> None:
    assert read_label({"label": "tenancy"}, None) == "tenancy"
    assert read_label({"labels": ["b", "a"]}, None) == read_label({"c": ["b", "a"]}, "c")
    assert read_label({"other": "x"}, None) is None
