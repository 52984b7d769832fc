"""Pseudonyms: one for one person in a scope, under the key, and nobody's real name."""

from __future__ import annotations

import hashlib
import itertools
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.entities.identity import Mention, read_mention
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


@given(
    st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), min_size=1, max_size=4), st.randoms()
)
def test_a_matter_is_the_same_in_whatever_order_its_documents_come(
    documents: list[list[str]], chance: object
) -> None:
    def replacements(order: list[list[str]]) -> dict[str, str]:
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
    assert replacements(documents) == replacements(shuffled)


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


def locate(text: str, *names: str) -> list[Span]:
    spans: list[Span] = []
    position = 0
    for name in names:
        start = text.index(name, position)
        position = start + len(name)
        spans.append(Span(start, position, "PERSON", 0.9, "T"))
    return spans


def read(text: str, *names: str) -> DocumentNames:
    return DocumentNames.read(text, locate(text, *names))


def mention(name: str, kind: str = "PERSON") -> Mention:
    return read_mention(name, Span(0, len(name), kind, 0.9, "T"))


def test_the_names_of_a_document_hold_no_text() -> None:
    text = "The witness John Smith met [PERSON_7] at 3 Mill Lane. Smith v. J. Poe."
    names = read(text, "John Smith", "Smith", "J. Poe")
    assert names.mentions == {
        (mention("John Smith"), "witness"),
        (mention("Smith"), "party"),
        (mention("J. Poe"), "party"),
    }
    assert names.apart == {(mention("J. Poe"), mention("Smith"))}
    assert names.taken == {("PERSON", 7)}
    assert "Mill" not in repr(names)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("[PERSON_1] [DATE_22]", {("PERSON", 1), ("DATE", 22)}),
        ("[PERSON_1", set()),
        ("[KING_1]", set()),
        ("[PERSON_1234567890]", set()),
    ],
)
def test_tokens_in_a_document_are_taken(text: str, taken: set[tuple[str, int]]) -> None:
    assert DocumentNames.read(text, []).taken == taken


def test_numbers_count_within_a_type() -> None:
    scope = Scope([read("Ann Roe, Bob Poe", "Ann Roe", "Bob Poe")], keyed("k"))
    tokens = [scope.token(scope.entity(mention(name))) for name in ("Bob Poe", "Ann Roe", "Bob Poe")]
    assert tokens == ["[PERSON_1]", "[PERSON_2]", "[PERSON_1]"]
    assert scope.token(scope.entity(mention("Leeds", "LOCATION"))) == "[LOCATION_1]"


def test_a_role_of_a_matter_is_the_most_protected_of_all_documents() -> None:
    documents = [
        read("Before: Judge Ann Roe.", "Ann Roe"),
        read("The victim, Ann Roe, spoke.", "Ann Roe"),
        read("They met Ann Roe.", "Ann Roe"),
    ]
    scope = Scope(documents, keyed("k"), seeded=True)
    assert scope.role(scope.entity(mention("Ann Roe"))) == "victim"
    assert scope.role(scope.entity(mention("Leeds", "LOCATION"))) == ""


def test_forms_of_a_name_in_several_documents_of_a_matter_are_one_entity() -> None:
    documents = [read("John A. Smith", "John A. Smith"), read("Smith, John", "Smith, John")]
    scope = Scope(documents, keyed("k"), seeded=True)
    assert scope.entity(mention("John A. Smith")) == scope.entity(mention("Smith, John"))
    assert scope.canonical(scope.entity(mention("Smith, John"))) == mention("John A. Smith")


def test_people_whom_any_document_sets_apart_stay_apart() -> None:
    documents = [read("Smith v. J. Smith", "Smith", "J. Smith"), read("J. Smith paid.", "J. Smith")]
    scope = Scope(documents, keyed("k"), seeded=True)
    assert scope.entity(mention("Smith")) != scope.entity(mention("J. Smith"))


def test_numbers_of_a_matter_do_not_reveal_the_order_of_names() -> None:
    names = [f"Anna {chr(65 + n)}ettel" for n in range(12)]
    scope = Scope([read("; ".join(names), *names)], keyed("k"), seeded=True)
    numbers = [int(scope.token(scope.entity(mention(name))).strip("[]").split("_")[1]) for name in names]
    assert sorted(numbers) == list(range(1, 13))
    assert numbers != sorted(numbers)


def test_a_name_that_was_found_later_gets_a_high_number() -> None:
    documents = [read("John Smith", "John Smith")]
    first, second = (Scope(documents, keyed("k"), seeded=True) for _ in range(2))
    token = first.token(first.entity(mention("Karl Poe")))
    assert token == second.token(second.entity(mention("Karl Poe")))
    assert 1_000_000 <= int(token.strip("[]").split("_")[1]) < 2_000_000


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["John Smith"], ["J.S."]),
        (["Smith"], ["S."]),
        (["John A. Smith", "Smith"], ["J.S.", "J.S."]),
        (["John Smith", "Jane Stone", "James Sorrel"], ["J.S.", "J.T.", "J.U."]),
        (["Smith", "Stone"], ["S.", "T."]),
        (["Xaver Zorn", "Xenia Zabel"], ["X.Z.", "X.A."]),
        (["Ömer Şahin"], ["Ö.Ş."]),
        (["张伟", "张丽", "张敏"], ["张某", "张某甲", "张某乙"]),
        (["欧阳娜娜", "欧阳锋"], ["欧阳某", "欧阳某甲"]),
    ],
)
def test_initials_are_those_that_courts_publish(names: list[str], expected: list[str]) -> None:
    scope = Scope([read("; then ".join(names), *names)], keyed("k"))
    assert [scope.initials(scope.entity(mention(name))) for name in names] == expected


def test_initials_never_run_out() -> None:
    names = [f"{a}{b}tto Zorn{c}x" for a in "XYZ" for b in "aeiou" for c in "abcdefghijklmnopqrst"]
    scope = Scope([read("; then ".join(names), *names)], keyed("k"))
    initials = [scope.initials(scope.entity(mention(name))) for name in names]
    assert len(set(initials)) == len(names)


def test_a_surrogate_is_never_a_name_of_the_matter() -> None:
    (first,) = shown(["John Smith"])
    scope = Scope([read(f"John Smith; then {first}", "John Smith", first)], keyed("k"), "en")
    replaced = scope.surrogate(scope.entity(mention("John Smith")), mention("John Smith"), "John Smith")
    assert replaced != first


@pytest.mark.slow
def test_names_that_recur_in_every_piece_of_a_large_document_are_in_memory_once() -> None:
    names = [
        f"{first} {last}"
        for first in ("Ada", "Bo", "Cy", "Di")
        for last in map("Roe{:04}".format, range(250))
    ]

    def read() -> DocumentNames:
        return DocumentNames.read(*document(names))

    def measure(pieces: int) -> int:
        tracemalloc.start()
        try:
            Scope((read() for _ in range(pieces)), keyed("key"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    measure(1)  # loads lists of names
    assert measure(12) < 1.5 * measure(2)
