"""Generalisation: less exact in the same form, or nothing at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.entity_types import GENERALIZED_TYPES
from lexveil.nlp.masking.generalize import generalize


@pytest.mark.parametrize(
    ("surface", "year", "month"),
    [
        ("12 March 2020", "2020", "March 2020"),
        ("March 5, 2020", "2020", "March 2020"),
        ("2018-05-11", "2018", "2018-05"),
        ("5.3.2020", "2020", "03.2020"),
        ("03/04/2020", "2020", "2020"),
        ("11. Mai 2021", "2021", "Mai 2021"),
        ("2022年4月24日", "2022年", "2022年4月"),
        ("二〇二〇年三月五日", "二〇二〇年", "二〇二〇年三月"),
        ("2020", "2020", "2020"),
        ("Monday", None, None),
        ("2019 to 2020", None, None),
    ],
)
def test_dates(surface: str, year: str | None, month: str | None) -> None:
    assert generalize("DATE", surface, "year") == generalize("BIRTH_DATE", surface) == year
    assert generalize("DATE", surface, "month") == month


@pytest.mark.parametrize(
    ("kind", "surface", "expected"),
    [
        ("AGE", "34", "30-39"),
        ("AGE", "34-year-old", "30-39-year-old"),
        ("AGE", "aged thirty-four", "aged 30-39"),
        ("AGE", "39岁", "30-39岁"),
        ("AGE", "101 years", "90+ years"),
        ("AGE", "between 3 and 5", None),
        ("ADDRESS", "12 Mill Lane, Leeds LS1 4AB", "Leeds"),
        ("ADDRESS", "123 Main St, Springfield, IL 62701", "Springfield, IL"),
        ("ADDRESS", "Hauptstraße 5, 10115 Berlin", "Berlin"),
        ("ADDRESS", "江苏省南京市鼓楼区呼和浩特路17号", "江苏省南京市"),
        ("ADDRESS", "12 Mill Lane", None),
        ("ADDRESS", "Flat 3, Mill Lane", None),
        ("QUANTITY", "EUR 12,500", "EUR 10,000-100,000"),
        ("QUANTITY", "£763,000.50", "£100,000-1,000,000"),
        ("QUANTITY", "two", None),
        ("EMAIL", "a@example.org", None),
    ],
)
def test_other_types(kind: str, surface: str, expected: str | None) -> None:
    assert generalize(kind, surface) == expected


@settings(deadline=None)
@given(st.sampled_from(sorted(GENERALIZED_TYPES)), st.text(max_size=40))
def test_any_text_is_read_or_left(kind: str, surface: str) -> None:
    found = generalize(kind, surface)
    assert found is None or found
