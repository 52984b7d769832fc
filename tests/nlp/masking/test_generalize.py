"""Generalization: a less exact value in the same form, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.entity_types import ENTITY_TYPES, GENERALIZED_TYPES
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
        ("the 3rd of June 1999", "1999", "June 1999"),
        ("3 Sept. 1987", "1987", "Sept. 1987"),
        ("1. Jänner 2020", "2020", "Jänner 2020"),
        ("den 12. Dezember 2019", "2019", "Dezember 2019"),
        ("2020/7/1", "2020", "2020-07"),
        ("12-04-2019", "2019", "2019"),
        ("March 2020", "2020", "March 2020"),
        ("２０２０年１月", "2020年", "2020年1月"),
        ("2022 年 4 月", "2022", "2022"),
        ("1 May", None, None),
        ("1.5.", None, None),
        ("12 March 1066", None, None),
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
        ("AGE", "im Alter von 9 Jahren", "im Alter von 0-9 Jahren"),
        ("AGE", "ninety", "90+"),
        ("AGE", "Eighteen years old", "10-19 years old"),
        ("AGE", "seven", "0-9"),
        ("AGE", "between 3 and 5", None),
        ("AGE", "between three and five", None),
        ("AGE", "3 (three)", "0-9 (three)"),
        ("AGE", "an old man", None),
        ("ADDRESS", "12 Mill Lane, Leeds LS1 4AB", "Leeds"),
        ("ADDRESS", "123 Main St, Springfield, IL 62701", "Springfield, IL"),
        ("ADDRESS", "Hauptstraße 5, 10115 Berlin", "Berlin"),
        ("ADDRESS", "江苏省南京市鼓楼区呼和浩特路17号", "江苏省南京市"),
        ("ADDRESS", "Weender Landstraße 12, D-37073 Göttingen", "Göttingen"),
        ("ADDRESS", "Keizersgracht 5, 1015 CJ Amsterdam", "Amsterdam"),
        ("ADDRESS", "4 Elm Row\nOld Sarum\nSalisbury\nSP4 6AA", "Salisbury"),
        ("ADDRESS", "9 Elm Road, Ottawa, K1A 0B1", "Ottawa"),
        ("ADDRESS", "上海市浦东新区世纪大道8号", "上海市"),
        ("ADDRESS", "新疆维吾尔自治区伊犁哈萨克自治州伊宁路1号", "新疆维吾尔自治区伊犁哈萨克自治州"),
        ("ADDRESS", "臺北市大安區忠孝東路100號", "臺北市"),
        ("ADDRESS", "南京市", None),
        ("ADDRESS", "PO Box 12, Station Road", None),
        ("ADDRESS", "12 Mill Lane, 2nd floor", None),
        ("ADDRESS", "12 Mill Lane", None),
        ("ADDRESS", "Flat 3, Mill Lane", None),
        ("QUANTITY", "EUR 12,500", "EUR 10,000-100,000"),
        ("QUANTITY", "£763,000.50", "£100,000-1,000,000"),
        ("QUANTITY", "12 %", "10-100 %"),
        ("QUANTITY", "3.500,00 EUR", "1,000-10,000 EUR"),
        ("QUANTITY", "人民币50000元", "人民币10,000-100,000元"),
        ("QUANTITY", "$ 1'250'000", "$ 1,000,000-10,000,000"),
        ("QUANTITY", "5", None),
        ("QUANTITY", "00", None),
        ("QUANTITY", "10 to 20", None),
        ("QUANTITY", "two", None),
        ("EMAIL", "a@example.org", None),
    ],
)
def test_other_types(kind: str, surface: str, expected: str | None) -> None:
    assert generalize(kind, surface) == expected


@given(st.sampled_from(sorted(GENERALIZED_TYPES)), st.text(max_size=40))
def test_any_text_is_read_or_left(kind: str, surface: str) -> None:
    found = generalize(kind, surface)
    assert found is None or found


@given(st.integers(0, 130))
def test_an_age_stays_in_its_decade(age: int) -> None:
    shown = generalize("AGE", f"aged {age}")
    if age >= 90:
        assert shown == "aged 90+"
    else:
        assert shown is not None
        low, high = shown.removeprefix("aged ").split("-")
        assert int(low) <= age <= int(high) == int(low) + 9


@given(st.integers(10, 10**9))
def test_an_amount_stays_in_its_magnitude(amount: int) -> None:
    shown = generalize("QUANTITY", f"EUR {amount:,}")
    assert shown is not None
    low, high = (int(part.replace(",", "")) for part in shown.removeprefix("EUR ").split("-"))
    assert low <= amount < high == 10 * low


@pytest.mark.parametrize("kind", sorted(set(ENTITY_TYPES) - GENERALIZED_TYPES | {"PERSON"}))
def test_a_type_without_values_has_no_generalization(kind: str) -> None:
    assert generalize(kind, "12 March 2020, aged 34, EUR 12,500") is None
