"""Evidence of a span's type: what its words and the words before it show, against a model's bare guess."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.evidence import fold_letters, shows_type
from lexveil.nlp.text import Span


def shows(text: str, name: str, kind: str) -> bool:
    start = text.index(name)
    return shows_type(text, Span(start, start + len(name), kind, 0.9, "Tagger"))


@pytest.mark.parametrize(
    "text",
    [
        "The claim of <Quill Ltd> is dismissed.",
        "The claim of <Quill & Partners> is dismissed.",
        "She studied at the <University of Elm>.",
        "He worked for the <BBC> at the time.",
        "It was paid to <HSBK3> in May.",
        "They asked the <Ministry of Sheep>.",
    ],
)
def test_a_company_or_an_institution_shows_itself(text: str) -> None:
    name = text[text.index("<") + 1 : text.index(">")]
    assert shows(text.replace("<", "").replace(">", ""), name, "ORGANIZATION")


@pytest.mark.parametrize("text", ["She met Quill at noon.", "the shop of Quill", "Quill denied it."])
def test_a_lone_surname_is_no_company(text: str) -> None:
    assert not shows(text, "Quill", "ORGANIZATION")


class TestPlaces:
    def test_a_known_place(self) -> None:
        assert shows("They moved to Germany.", "Germany", "LOCATION")

    def test_the_name_of_a_place_in_it(self) -> None:
        assert shows("It happened in South Mumbai.", "South Mumbai", "LOCATION")

    @pytest.mark.parametrize(
        "before",
        ["She lives in", "She lived near", "He resides at", "It is in the village of", "Er wohnt in der"],
    )
    def test_the_words_before_it(self, before: str) -> None:
        assert shows(f"{before} Quillby.", "Quillby", "LOCATION")

    def test_a_first_name_is_none(self) -> None:
        assert not shows("Then Orsolya left.", "Orsolya", "LOCATION")


class TestNumbersAndDates:
    @pytest.mark.parametrize("name", ["12/2020", "2 of 2019", "5 F 12", "§"])
    def test_a_case_number_has_its_form(self, name: str) -> None:
        assert shows(f"It is {name}.", name, "CASE_NUMBER")

    def test_a_name_is_no_case_number(self) -> None:
        assert not shows("It is Quill.", "Quill", "CASE_NUMBER")

    @pytest.mark.parametrize(
        ("name", "kind"), [("3 May", "DATE"), ("Monday", "DATE"), ("200 sheep", "QUANTITY")]
    )
    def test_a_date_or_a_quantity_has_a_digit_or_a_word_of_time(self, name: str, kind: str) -> None:
        assert shows(f"It was {name}.", name, kind)

    @pytest.mark.parametrize("kind", ["DATE", "QUANTITY"])
    def test_a_surname_is_neither(self, kind: str) -> None:
        assert not shows("It was Orsolya.", "Orsolya", kind)


def test_a_people_is_known_or_in_lower_case() -> None:
    assert shows("He is a German citizen.", "German", "DEMOGRAPHIC")
    assert shows("He is a quillian citizen.", "quillian", "DEMOGRAPHIC")
    assert not shows("Then Quillian left.", "Quillian", "DEMOGRAPHIC")


@pytest.mark.parametrize("kind", ["PERSON", "EMAIL", "PHONE", "ADDRESS"])
def test_other_types_need_no_proof(kind: str) -> None:
    assert shows("Then Quill left.", "Quill", kind)


def test_chinese_characters_need_no_proof() -> None:
    assert shows("被告人张三到案。", "张三", "ORGANIZATION")


def test_words_without_digits_and_punctuation_in_lower_case() -> None:
    assert fold_letters("Roe's 3rd Ünit, §44") == ["roe", "s", "rd", "ünit"]
    assert fold_letters("2019 / 44") == []
