"""Surrogates: their script, their form and their reserved ranges. All names are invented."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.entities.identity import Mention, read_mention
from lexveil.nlp.masking.surrogates import Surrogate, Surrogates, choose_locale, render_surrogate
from lexveil.nlp.text import Span

ROE = Surrogate("Vera Osgood", "Vera", "", "Osgood")
QUILL = Surrogate("Vera Osgood", "Vera", "B.", "Osgood")
CHINESE = Surrogate("钱晓梅", "", "", "钱")


def mention(name: str, kind: str = "PERSON") -> Mention:
    return read_mention(name, Span(0, len(name), kind, 0.9, "Test"))


def draw_from(names: frozenset[str] = frozenset(), language: str = "en") -> Surrogates:
    return Surrogates(lambda kind, name, attempt: attempt, language, lambda: names)


@pytest.mark.parametrize(
    ("surface", "language", "locale"),
    [
        ("John Smith", "en", "en_US"),
        ("John Smith", "", "en_US"),
        ("Anna Klein", "de", "de_DE"),
        ("Jean Picot", "fr", "fr_FR"),
        ("Jan Nowak", "pl", "pl_PL"),
        ("Jan Novák", "cs", "en_US"),
        ("张伟", "en", "zh_CN"),
        ("张伟", "de", "zh_CN"),
        ("山田たろう", "en", "ja_JP"),
        ("김철수", "en", "ko_KR"),
        ("Иван Петров", "en", "ru_RU"),
        ("Γιώργος", "en", "el_GR"),
    ],
)
def test_the_script_decides_and_then_the_language(surface: str, language: str, locale: str) -> None:
    assert choose_locale(surface, language) == locale


@pytest.mark.parametrize(
    ("canonical", "surface", "expected"),
    [
        ("John Smith", "John Smith", "Vera Osgood"),
        ("John Smith", "Smith", "Osgood"),
        ("John Smith", "John", "Vera"),
        ("John Smith", "J. Smith", "V. Osgood"),
        ("John Smith", "Smith, John", "Osgood, Vera"),
        ("John Smith", "JOHN SMITH", "VERA OSGOOD"),
        ("John Smith", "J.S.", "V.O."),
        ("John Smith", "Mr John Smith", "Mr Vera Osgood"),
        ("John Smith", "Dr. Smith", "Dr Osgood"),
        ("John Smith", "Frau Smith", "Frau Osgood"),
        ("John Smith Jr.", "John Smith Jr.", "Vera Osgood Jr"),
        ("John Smith III", "Smith III", "Osgood III"),
        ("Smith", "Smith", "Osgood"),
        ("John A. Smith", "John Smith", "Vera Osgood"),
        ("John A. Smith", "John A. Smith", "Vera Osgood"),
    ],
)
def test_a_surrogate_takes_the_form_of_the_mention(canonical: str, surface: str, expected: str) -> None:
    assert render_surrogate(ROE, mention(canonical), mention(surface), surface) == expected


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        ("John A. Smith", "Vera B. Osgood"),
        ("John Albert Smith", "Vera B. Osgood"),
        ("J.A.S.", "V.B.O."),
        ("John Smith", "Vera Osgood"),
        ("Smith, John A.", "Osgood, Vera B."),
    ],
)
def test_a_middle_name_becomes_a_middle_initial(surface: str, expected: str) -> None:
    assert render_surrogate(QUILL, mention("John Albert Smith"), mention(surface), surface) == expected


@pytest.mark.parametrize(
    ("canonical", "surface", "expected"),
    [("张小伟", "张小伟", "钱晓梅"), ("张小伟", "张某某", "钱某某"), ("张某", "张某", "钱晓梅")],
)
def test_a_chinese_name_stays_whole_or_anonymous(canonical: str, surface: str, expected: str) -> None:
    assert render_surrogate(CHINESE, mention(canonical), mention(surface), surface) == expected


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("EMAIL", r"[a-z]{8}@example\.org"),
        ("URL", r"https://[a-z]{8}\.example\.org"),
        ("PHONE", r"\+1 (212|312|415|617)-555-01\d\d"),
        ("ADDRESS", r"[^\n]+"),
        ("ORGANIZATION", r"[^\n]+"),
        ("LOCATION", r"[^\n]+"),
    ],
)
def test_contacts_lead_to_nobody(kind: str, shape: str) -> None:
    surrogates = draw_from()
    for entity in range(20):
        drawn = surrogates.draw(entity, mention(f"original {entity}", kind), f"original {entity}")
        assert drawn is not None
        assert re.fullmatch(shape, drawn.text)


def test_an_entity_has_one_surrogate_and_shares_it_with_nobody() -> None:
    surrogates = draw_from()
    drawn = [surrogates.draw(entity, mention(f"Roe {entity}x"), f"Roe {entity}x") for entity in range(30)]
    assert len({surrogate.text for surrogate in drawn if surrogate}) == 30
    assert surrogates.draw(0, mention("Roe 0x"), "Roe 0x") == drawn[0]


def test_a_real_name_is_never_drawn() -> None:
    first = draw_from().draw(0, mention("John Smith"), "John Smith")
    assert first is not None
    real = frozenset({first.last.casefold()})
    second = draw_from(real).draw(0, mention("John Smith"), "John Smith")
    assert second is not None
    assert second.last.casefold() not in real
    assert draw_from(real).is_real(first.last.upper())
    assert not draw_from(real).is_real("somebody else")


def test_where_no_name_is_free_none_is_drawn() -> None:
    surrogates = Surrogates(lambda kind, name, attempt: 7, "en", frozenset)
    assert surrogates.draw(0, mention("a@b.example", "EMAIL"), "a@b.example") is not None
    assert surrogates.draw(1, mention("c@d.example", "EMAIL"), "c@d.example") is None


@pytest.mark.parametrize(
    ("gender", "names"), [("m", "first_names_male"), ("f", "first_names_female")], ids=["men", "women"]
)
def test_the_gender_stays(gender: str, names: str) -> None:
    from faker.providers.person.en_US import Provider

    surrogates = draw_from()
    for entity in range(10):
        drawn = surrogates.draw(entity, mention(f"Zyx Roe {entity}x"), "Zyx Roe", gender)
        assert drawn is not None
        assert drawn.first in getattr(Provider, names)


SEEDS: dict[str, Callable[[str, str, int], int]] = {
    "one": lambda kind, name, attempt: hash((kind, name)) % 97 + attempt,
    "other": lambda kind, name, attempt: 1000 + attempt,
}


@given(st.lists(st.sampled_from(["John Smith", "Karl Poe", "Anna Klein", "张伟", "李娜"]), unique=True))
def test_the_same_seed_draws_the_same_surrogates(names: list[str]) -> None:
    one, other = (Surrogates(SEEDS["one"], "en", frozenset) for _ in range(2))
    for entity, name in enumerate(names):
        assert one.draw(entity, mention(name), name) == other.draw(entity, mention(name), name)
