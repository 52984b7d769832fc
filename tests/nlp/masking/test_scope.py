"""Pseudonyms: one for one person in a scope, under the key, and nobody's real name."""

from __future__ import annotations

import hashlib
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.entities.identity import read_mention
from lexveil.nlp.masking.mask import mask_text
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.masking.surrogates import Seed
from lexveil.nlp.text import Span

SURROGATES = build_policy(direct="surrogate", quasi="surrogate")
INITIALS = build_policy(types={"PERSON": "generalise"})
NAMES = [
    "John Smith",
    "Mary Smith",
    "Smith",
    "J. Smith",
    "Karl Poe",
    "Poe",
    "Anna Klein",
    "张伟",
    "张某",
    "李娜",
]


def keyed(key: str) -> Seed:
    def seed(kind: str, name: str, attempt: int) -> int:
        return int.from_bytes(hashlib.sha256(f"{key}|{kind}|{name}|{attempt}".encode()).digest()[:8])

    return seed


def document(names: list[str]) -> tuple[str, list[Span]]:
    text, spans = "", list[Span]()
    for name in names:
        spans.append(Span(len(text), len(text) + len(name), "PERSON", 0.9, "T"))
        text += f"{name} came; "
    return text, spans


def shown(names: list[str], policy: object = SURROGATES, key: str = "k", language: str = "en") -> list[str]:
    text, spans = document(names)
    scope = Scope([DocumentNames.read(text, spans)], keyed(key), language)
    return [r.text for r in mask_text(text, spans, policy, scope).replacements]  # pyright: ignore


def test_a_surrogate_follows_the_forms_of_the_name() -> None:
    full, surname, initial, reverse, capitals = shown(
        ["John Smith", "Smith", "J. Smith", "Smith, John", "JOHN SMITH"]
    )
    first, last = full.split()
    assert (surname, initial, reverse) == (last, f"{first[0]}. {last}", f"{last}, {first}")
    assert capitals == full.upper()


def test_gender_and_script_stay() -> None:
    from faker.providers.person.de_DE import Provider as German
    from faker.providers.person.en_US import Provider as American
    from faker.providers.person.zh_CN import Provider as Chinese

    for key in "abcdefgh":
        man, woman, chinese = shown(["John Harker", "Mary Westenra", "王小虎"], key=key)
        assert man.split()[0] in American.first_names_male
        assert woman.split()[0] in American.first_names_female
        assert re.fullmatch(r"[\u4e00-\u9fff]{2,4}", chinese)
        assert chinese[0] in "".join(Chinese.last_names)
        (german,) = shown(["Hans Castorp"], key=key, language="de")
        assert german.split()[0] in German.first_names_male


def test_the_key_decides() -> None:
    assert shown(["John Smith"]) == shown(["John Smith"])
    assert len({shown(["John Smith"], key=key)[0] for key in "abcdefgh"}) > 4


@settings(deadline=None)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8), st.text(max_size=3))
def test_no_surrogate_is_a_real_name_and_no_two_people_share_one(names: list[str], key: str) -> None:
    text, spans = document(names)
    scope = Scope([DocumentNames.read(text, spans)], keyed(key), "en")
    masked = mask_text(text, spans, SURROGATES, scope)
    real = {word.casefold() for name in names for word in re.findall(r"\w+", name) if len(word) > 1}
    people: dict[str, set[int]] = {}
    for r in masked.replacements:
        assert not real & {word.casefold() for word in re.findall(r"\w+", r.text) if len(word) > 1}
        people.setdefault(r.text, set()).add(r.entity)
    whole = [entities for text, entities in people.items() if " " in text and "." not in text]
    assert all(len(entities) == 1 for entities in whole)


def test_initials_that_collide_get_another_letter() -> None:
    assert shown(["John Smith", "Jane Stone", "John Smith", "Karl Poe"], INITIALS) == [
        "J.S.", "J.T.", "J.S.", "K.P.",
    ]  # fmt: skip
    assert shown(["张伟", "张丽", "李娜"], INITIALS) == ["张某", "张某甲", "李某"]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), min_size=1, max_size=4), st.randoms()
)
def test_a_matter_is_the_same_in_whatever_order_its_documents_come(
    documents: list[list[str]], chance: object
) -> None:
    def told(order: list[list[str]]) -> dict[str, str]:
        named = [DocumentNames.read(*document(names)) for names in order]
        scope = Scope(named, keyed("k"), "en", seeded=True)
        found: dict[str, str] = {}
        for names in order:
            text, spans = document(names)
            for policy in (build_policy(), SURROGATES, INITIALS):
                for r in mask_text(text, spans, policy, scope).replacements:
                    assert found.setdefault(f"{r.action}:{r.original}", r.text) == r.text
        return found

    shuffled = list(documents)
    chance.shuffle(shuffled)  # pyright: ignore
    assert told(documents) == told(shuffled)


def test_numbers_of_a_matter_pass_over_what_any_document_writes_itself() -> None:
    texts = ["[PERSON_1] and [PERSON_2] and Karl Poe", "Mary Smith"]
    spans = [[Span(30, 38, "PERSON", 0.9, "T")], [Span(0, 10, "PERSON", 0.9, "T")]]
    named = list(itertools.starmap(DocumentNames.read, zip(texts, spans, strict=True)))
    scope = Scope(named, keyed("k"), seeded=True)
    tokens = [scope.token(scope.entity(read_mention(t, s[0]))) for t, s in zip(texts, spans, strict=True)]
    assert sorted(tokens) == ["[PERSON_3]", "[PERSON_4]"]


@pytest.mark.parametrize("kind", ["ORGANIZATION", "LOCATION", "ADDRESS", "EMAIL", "URL", "PHONE"])
def test_surrogates_of_other_types(kind: str) -> None:
    text = "something"
    spans = [Span(0, len(text), kind, 0.9, "T")]
    masked = mask_text(text, spans, SURROGATES, Scope([DocumentNames.read(text, spans)], keyed("k")))
    (replacement,) = masked.replacements
    assert replacement.action == "surrogate"
    assert "\n" not in replacement.text
    assert text not in replacement.text
