# ruff: noqa: E501  -- texts read best on one line
"""Who plays which part, by the words around a name. All names are invented."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.roles import find_roles, merge_roles
from lexveil.nlp.text import Span


def roles_in(text: str) -> dict[str, str]:
    """The roles of the names that stand in ⟦ ⟧."""
    plain, spans = "", list[Span]()
    for number, part in enumerate(text.replace("⟧", "⟦").split("⟦")):
        if number % 2:
            spans.append(Span(len(plain), len(plain) + len(part), "PERSON", 0.9, "T"))
        plain += part
    return {plain[s.start : s.end]: role for s, role in zip(spans, find_roles(plain, spans), strict=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sitting as a Chamber composed of:\n Mr ⟦A. Almo⟧, President,\n Mrs ⟦B. Brun⟧,\n Mr ⟦C. Cott⟧, judges,\n"
            "and Mr ⟦D. Dorn⟧, Section Registrar,\nHaving deliberated in private",
            {"A. Almo": "judge", "B. Brun": "judge", "C. Cott": "judge", "D. Dorn": "official"},
        ),
        (
            "The applicant, Mr ⟦John Elm⟧, is represented by Ms ⟦Mary Fern⟧, a lawyer practising in York. The "
            "Government were represented by their Agent, Mr ⟦K. Gorse⟧ of the Ministry.",
            {"John Elm": "party", "Mary Fern": "counsel", "K. Gorse": "official"},
        ),
        (
            "⟦LEAH F. HOLM⟧, Plaintiff, v. ⟦JULIE P. ISER⟧, Defendant. Before: Mr ⟦Joss⟧.",
            {"LEAH F. HOLM": "party", "JULIE P. ISER": "party", "Joss": "judge"},
        ),
        (
            "Witnesses ⟦Adam Kerr⟧ and ⟦Eve Low⟧ testified. The victim, ⟦Nora Moss⟧, died. Dr ⟦Otto Nye⟧, an expert "
            "in fires, was heard. They met ⟦Paul Orr⟧.",
            {"Adam Kerr": "witness", "Eve Low": "witness", "Nora Moss": "victim", "Otto Nye": "expert", "Paul Orr": "other"},
        ),
        (
            "审判长 ⟦王强⟧ 人民陪审员⟦李丽⟧ 书记员 ⟦赵敏⟧。被告人⟦张三⟧，男。辩护人⟦刘洋⟧，某律师事务所律师。"
            "被害人⟦陈某某⟧陈述。证人⟦周涛⟧的证言。鉴定人⟦吴刚⟧出庭。",
            {
                "王强": "judge", "李丽": "judge", "赵敏": "official", "张三": "party", "刘洋": "counsel",
                "陈某某": "victim", "周涛": "witness", "吴刚": "expert",
            },
        ),
        (
            "Vorsitzender Richter am Landgericht Dr. ⟦Meier⟧, Rechtsanwalt ⟦Huber⟧ und die Zeugin ⟦Anna Klein⟧. Der "
            "Kläger ⟦Hans Groß⟧, der Sachverständige Prof. Dr. ⟦Voss⟧, der Geschädigte ⟦Karl Lang⟧.",
            {
                "Meier": "judge", "Huber": "counsel", "Anna Klein": "witness", "Hans Groß": "party",
                "Voss": "expert", "Karl Lang": "victim",
            },
        ),
    ],
    ids=["echr bench", "echr parties", "caption", "hearing", "chinese", "german"],
)  # fmt: skip
def test_by_cues(text: str, expected: dict[str, str]) -> None:
    assert roles_in(text) == expected


def test_a_cue_of_one_person_is_not_anothers() -> None:
    assert roles_in("The applicant, ⟦Ann Roe⟧, telephoned ⟦Bob Poe⟧.") == {
        "Ann Roe": "party",
        "Bob Poe": "other",
    }


def test_companies_are_companies_and_dates_nothing() -> None:
    spans = [Span(0, 8, "ORGANIZATION", 0.9, "T"), Span(12, 16, "DATE", 0.9, "T")]
    assert find_roles("Acme Ltd in 2020", spans) == ["company", ""]


def test_the_most_protected_role_of_an_entity_stands() -> None:
    told = [(0, "judge"), (0, "other"), (1, "judge"), (1, "victim"), (2, "other"), (3, "")]
    assert merge_roles(told) == {0: "judge", 1: "victim", 2: "other", 3: ""}
