"""Coreference: which names are one entity. All people and companies are invented."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.entities.identity import (
    Identities,
    Mention,
    find_distinct_pairs,
    guess_gender,
    read_mention,
)
from lexveil.nlp.text import Span


def locate(text: str, *names: str, kind: str = "PERSON") -> list[Span]:
    """Return the span of each name, searched from left to right."""
    spans: list[Span] = []
    position = 0
    for name in names:
        start = text.index(name, position)
        position = start + len(name)
        spans.append(Span(start, position, kind, 0.9, "Test"))
    return spans


def cluster(text: str, spans: list[Span]) -> list[int]:
    """Return the entity of each span, numbered by first appearance."""
    mentions = [read_mention(text, span) for span in spans]
    identities = Identities(mentions, find_distinct_pairs(text, spans, mentions))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(identities.entity(mention), len(numbers)) for mention in mentions]


def entities(text: str, *names: str, kind: str = "PERSON") -> list[int]:
    return cluster(text, locate(text, *names, kind=kind))


def mention(name: str, before: str = "", after: str = "", kind: str = "PERSON") -> Mention:
    return read_mention(before + name + after, Span(len(before), len(before) + len(name), kind, 0.9, "Test"))


@pytest.mark.parametrize(
    ("name", "words", "generation"),
    [
        ("John A. Smith", ("john", "a", "smith"), ""),
        ("JOHN SMITH", ("john", "smith"), ""),
        ("Smith, John A.", ("john", "a", "smith"), ""),
        ("Smith J.", ("j", "smith"), ""),
        ("Smith J. A.", ("j", "a", "smith"), ""),
        ("Mr John Smith", ("john", "smith"), ""),
        ("Prof. Dr. Anna Klein", ("anna", "klein"), ""),
        ("Judge", ("judge",), ""),
        ("Karl Poe Jr.", ("karl", "poe"), "jr"),
        ("Karl Poe III", ("karl", "poe"), "iii"),
        ("J.A.S.", ("j", "a", "s"), ""),
        ("Ｊｏｈｎ Smith", ("john", "smith"), ""),
        ("Jo\u200bhn Smith", ("john", "smith"), ""),
        ("张伟", ("张伟",), ""),
        ("O'Hara", ("o'hara",), ""),
        ("Ada O’Hara's", ("ada", "o'hara"), ""),
        ("Máire Ní Quill", ("máire", "quill"), ""),
        ("Wriothes-\nley", ("wriothesley",), ""),
        ("Ponsonby-\nQuill", ("ponsonby-quill",), ""),
        ("Ada_Quill", ("ada", "quill"), ""),
    ],
)
def test_a_name_is_read_in_its_usual_order(name: str, words: tuple[str, ...], generation: str) -> None:
    read = mention(name)
    assert (read.words, read.generation, read.form) == (words, generation, "")


@pytest.mark.parametrize(
    ("before", "name", "after", "gender"),
    [
        ("Mr ", "Smith", "", "m"),
        ("Mrs. ", "Smith", "", "f"),
        ("", "Frau Klein", "", "f"),
        ("Herrn ", "Klein", "", "m"),
        ("", "Sir Karl Poe", "", "m"),
        ("Dame ", "Ottoline Poe", "", "f"),
        ("", "Mary Smith", "", "f"),
        ("", "Hans Groß", "", "m"),
        ("Mrs ", "John Smith", "", "f"),
        ("", "Dr Klein", "", ""),
        ("", "Zyx Poe", "", ""),
        ("Mr and ", "Smith", "", ""),
        ("被告人", "张伟", "，男，1985年3月2日出生", "m"),
        ("原告", "李娜", "(曾用名李丽)，女，汉族", ""),
        ("原告", "李娜", "，女，汉族", "f"),
        ("原告", "李娜", "，汉族", ""),
    ],
)
def test_the_gender_of_a_name(before: str, name: str, after: str, gender: str) -> None:
    assert mention(name, before, after).gender == gender


@pytest.mark.parametrize(
    ("first_name", "gender"),
    [("mary", "f"), ("john", "m"), ("heinrich", "m"), ("ottoline", ""), ("jordan", ""), ("", "")],
)
def test_a_first_name_that_both_genders_have_says_nothing(first_name: str, gender: str) -> None:
    assert guess_gender(first_name) == gender


def test_the_surface_of_a_mention_is_the_same_for_equal_spellings() -> None:
    assert mention("Karl Poe Jr.").surface == mention("POE, Karl Jr.").surface == "karl poe jr"
    assert mention("Acme Corp.", kind="ORGANIZATION").surface == "acmecorp"


def test_a_mention_shows_no_name() -> None:
    assert "Hawksmoor".casefold() not in repr(mention("John Hawksmoor")).casefold()


@pytest.mark.parametrize(
    "names",
    [
        ("John A. Smith", "John Smith", "J. Smith", "Smith", "JOHN SMITH"),
        ("John A. Smith", "J.A.S.", "J.S.", "J. A. Smith"),
        ("Poe, Karl", "Karl Poe", "Poe K.", "Poe"),
        ("Karl Friedrich Poe", "Karl Poe", "K. F. Poe", "Poe"),
        ("Karl Friedrich Poe", "Karl Poe", "Karl"),
        ("Dr. Anna Klein-Groß", "Anna Klein-Groß", "ANNA KLEIN-GROSS", "Groß"),
        ("Karl Poe Jr.", "Karl Poe", "Poe"),
        ("张伟", "张伟"),
        ("欧阳娜娜", "欧阳某某"),
        ("张小伟", "张某某"),
        ("张小伟", "张某"),
    ],
)
def test_forms_of_one_name_are_one_person(names: tuple[str, ...]) -> None:
    assert entities("; then ".join(names), *names) == [0] * len(names)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("John Smith", "Mary Smith", "Smith"), [0, 1, 2]),
        (("John Smith", "Jane Smith", "J. Smith"), [0, 1, 2]),
        (("John B. Smith", "John A. Smith"), [0, 1]),
        (("John A. Smith", "J.B.S."), [0, 1]),
        (("Karl Poe Sr.", "Karl Poe Jr.", "Karl Poe Sr."), [0, 1, 0]),
        (("Anna Klein", "Anna Groß", "Anna"), [0, 1, 2]),
        (("张伟", "张丽", "张某"), [0, 1, 2]),
        (("张伟", "张某某"), [0, 1]),
        (("张伟", "李某"), [0, 1]),
        (("张小伟", "张某某", "张某"), [0, 0, 1]),
        (("张某甲", "张某乙"), [0, 1]),
    ],
)
def test_a_name_that_fits_two_people_or_none_is_a_person_by_itself(
    names: tuple[str, ...], expected: list[int]
) -> None:
    assert entities("; then ".join(names), *names) == expected


def test_a_title_separates_husband_and_wife() -> None:
    text = "Mr John Smith and Mrs Mary Smith; Mr Smith paid, Mrs Smith left."
    assert entities(text, "John Smith", "Mary Smith", "Smith", "Smith") == [0, 1, 0, 1]
    text = "Hans Groß und Anna Groß; Herr Groß zahlte, Frau Groß ging."
    assert entities(text, "Hans Groß", "Anna Groß", "Groß", "Groß") == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "names", "distinct"),
    [
        ("Smith v. J. Smith", ("Smith", "J. Smith"), True),
        ("Smith versus Mr J. Smith", ("Smith", "J. Smith"), True),
        ("Klein gegen Frau A. Klein", ("Klein", "A. Klein"), True),
        ("张伟诉张某", ("张伟", "张某"), True),
        ("张伟、张某到庭", ("张伟", "张某"), True),
        ("张伟与张某签订合同", ("张伟", "张某"), True),
        ("Smith met J. Smith", ("Smith", "J. Smith"), False),
        ("Smith sued, and v. Smith", ("Smith", "Smith"), False),
        ("张伟又名张某", ("张伟", "张某"), False),
    ],
)
def test_opponents_and_neighbors_in_a_list_are_two_people(
    text: str, names: tuple[str, ...], distinct: bool
) -> None:
    spans = locate(text, *names)
    mentions = [read_mention(text, span) for span in spans]
    assert bool(find_distinct_pairs(text, spans, mentions)) == distinct


def test_distinct_people_are_never_joined() -> None:
    assert entities("张伟诉张某，张伟胜诉", "张伟", "张某", "张伟") == [0, 1, 0]
    assert entities("Smith v. J. Smith", "Smith", "J. Smith") == [0, 1]


def test_a_company_has_no_opponents_in_this_sense() -> None:
    text = "Acme v. Acme Ltd"
    spans = locate(text, "Acme", "Acme Ltd", kind="ORGANIZATION")
    assert find_distinct_pairs(text, spans, [read_mention(text, span) for span in spans]) == set()


@pytest.mark.parametrize("kind", ["ORGANIZATION", "ADDRESS", "CASE_NUMBER"])
def test_other_types_ignore_case_space_and_punctuation(kind: str) -> None:
    names = ("Acme Corp.", "ACME  CORP", "Acme Co")
    assert entities(" / ".join(names), *names, kind=kind) == [0, 0, 1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Tyrell Holdings Ltd", "Tyrell Holdings"), [0, 0]),
        (("Süßwaren Müller GmbH", "Süßwaren Müller", "SÜSSWAREN MÜLLER"), [0, 0, 0]),
        (("Tyrell Ltd", "Tyrell GmbH", "Tyrell"), [0, 1, 2]),
        (("Tyrell Ltd", "Tyrell Holdings"), [0, 1]),
        (("Tyrell", "Tyrell"), [0, 0]),
        (("Inc", "Co"), [0, 1]),
    ],
)
def test_a_company_is_known_without_its_legal_form(names: tuple[str, ...], expected: list[int]) -> None:
    assert entities(" / ".join(names), *names, kind="ORGANIZATION") == expected


def test_types_never_share_an_entity() -> None:
    spans = [Span(0, 3, "PERSON", 0.9, "T"), Span(4, 7, "ORGANIZATION", 0.9, "T")]
    assert cluster("Roe Roe", spans) == [0, 1]


def test_the_canonical_mention_is_the_most_complete_one() -> None:
    mentions = [mention(name) for name in ("Smith", "J. Smith", "John Smith", "John A. Smith")]
    identities = Identities(mentions)
    assert len(identities) == 1
    assert identities.canonical(0) == mention("John A. Smith")
    assert set(identities.members(0)) == set(mentions)
    chinese = Identities([mention("张某某"), mention("张小伟")])
    assert chinese.canonical(0) == mention("张小伟")


def test_the_gender_of_an_entity_comes_from_any_of_its_mentions() -> None:
    identities = Identities([mention("Zyx Poe"), mention("Poe", "Mrs ")])
    assert len(identities) == 1
    assert identities.gender(0) == "f"
    assert Identities([mention("Zyx Poe")]).gender(0) == ""


def test_an_unknown_mention_becomes_an_entity_of_its_own() -> None:
    identities = Identities([mention("John Smith")])
    assert identities.entity(mention("Smith")) == identities.entity(mention("Smith")) == 1
    assert len(identities) == 2


@given(
    st.lists(
        st.sampled_from(
            [
                "John Smith",
                "J. Smith",
                "Smith",
                "Mary Smith",
                "J.S.",
                "Smith J.",
                "Karl Poe",
                "Poe",
                "张伟",
                "张某",
            ]
        ),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_mentions_does_not_matter(names: list[str], chance: random.Random) -> None:
    mentions = [mention(name) for name in names]
    shuffled = list(mentions)
    chance.shuffle(shuffled)
    first, second = Identities(mentions), Identities(shuffled)
    assert all(
        (first.entity(a) == first.entity(b)) == (second.entity(a) == second.entity(b))
        for a in mentions
        for b in mentions
    )


@given(st.lists(st.text(min_size=1, max_size=12), max_size=5), st.sampled_from(["PERSON", "ORGANIZATION"]))
def test_any_name_has_an_entity(names: list[str], kind: str) -> None:
    mentions = [mention(name, kind=kind) for name in names]
    identities = Identities(mentions)
    assert all(m in identities.members(identities.entity(m)) for m in mentions)


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        ("Casper van der Wielen", "van der Wielen"),
        ("Casper van der Wielen", "Wielen"),
        ("Jonathan Pembridge-Hale", "Pembridge-Hale"),
        ("Jonathan Pembridge-Hale", "Pembridge"),
        ("Hans-Dieter Möllenkamp", "Hans Möllenkamp"),
        ("Hans-Dieter Möllenkamp", "H.-D. Möllenkamp"),
        ("DE OLIVEIRA, Quillonne", "De Oliveira"),
        ("Quillonne de Oliveira", "De Oliveira"),
        ("Timothée Le Goff", "Le Goff"),
        ("Quillonne Pellor Marqués", "Pellor Marqués"),
    ],
)
def test_particles_and_double_names_are_one_person(whole: str, short: str) -> None:
    first, second = (read_mention(name, Span(0, len(name), "PERSON", 1.0, "")) for name in (whole, short))
    identities = Identities([first, second])
    assert identities.entity(first) == identities.entity(second)


def test_two_people_with_two_first_names_stay_apart() -> None:
    assert entities("Mary Jane Quill met Jane Quill.", "Mary Jane Quill", "Jane Quill") == [0, 1]


def test_a_german_genitive_names_the_same_person() -> None:
    def person(*words: str, gender: str = "") -> Mention:
        return Mention("PERSON", "", words, "", gender)

    whole, genitive, lone = person("wiebke", "quellner"), person("wiebke", "quellners"), person("quellners")
    titled = person("quellners", gender="m")
    with_noun = person("quellners", "fahrrad")
    german = Identities([whole, genitive, lone, titled, with_noun], language="de")
    assert german.entity(with_noun) == german.entity(whole)
    assert german.entity(whole) == german.entity(genitive) == german.entity(lone) != german.entity(titled)
    english = Identities([whole, lone], language="en")
    assert english.entity(whole) != english.entity(lone)


def test_a_german_genitive_of_two_people_is_a_third_name() -> None:
    first, second, lone = (
        Mention("PERSON", "", words) for words in (("ann", "quellner"), ("udo", "quellner"), ("quellners",))
    )
    people = Identities([first, second, lone], language="de")
    assert len({people.entity(first), people.entity(second), people.entity(lone)}) == 3


@pytest.mark.parametrize(
    ("language", "names", "expected"),
    [
        (
            "pl",
            "Bogumiła Wronka, Bogumił Wronek, Wronkowi, Hannie Zawadzkiej, Hanna Zawadzka",
            [0, 0, 0, 1, 1],
        ),
        (
            "pl",
            "Jan Zawadzki, Janina Zawadzka, Zawadzkiego, Zawadzkiej, Zawadzki, Zawadzka",
            [0, 1, 0, 1, 0, 1],
        ),
        ("pl", "Wronkowi, Wronka", [0, 0]),
        ("cs", "Jan Dvořák, Jana Dvořáková, Jana Dvořáka, Dvořákovi, Jany Dvořákové", [0, 1, 0, 0, 1]),
        ("hr", "Ivana Horvat, Ivan Horvat, Ivana Horvata, Ana Babić, Ane Babić, Babić", [0, 1, 1, 2, 2, 2]),
        ("sr", "Петар Николић, Петра Николића, Николићу", [0, 0, 0]),
        ("fi", "Saara Koskivirtaa, Koskivirran, Koskivirralle, Eero Lehto, Lehdolle", [0, 0, 0, 1, 1]),
        ("en", "Ana Marka, Marko", [0, 1]),
    ],
)
def test_the_cases_of_a_name_are_one_person(language: str, names: str, expected: list[int]) -> None:
    mentions = [mention(name) for name in names.split(", ")]
    identities = Identities(mentions, (), language)
    numbers: dict[int, int] = {}
    assert [numbers.setdefault(identities.entity(m), len(numbers)) for m in mentions] == expected
