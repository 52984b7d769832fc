# ruff: noqa: E501  -- texts read best on one line
"""Roles of people by the words around their names. All names are invented."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lexveil.nlp.entities.roles import ROLES, find_roles, merge_roles, role_applies
from lexveil.nlp.text import Span


def roles_in(text: str) -> dict[str, str]:
    """Return the role of each name, which is marked by ⟦ ⟧."""
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
            "⟦JON ELM⟧\tAppellant\n⟦A. FERN⟧ (instructed by ⟦Gorse⟧) for the Appellant\n⟦B. Holm⟧ (of Iser Solicitors) for the child",
            {"JON ELM": "party", "A. FERN": "counsel", "Gorse": "counsel", "B. Holm": "counsel"},
        ),
        (
            "He was instructed by ⟦Mr Marl⟧ to hide the money, which ⟦E. Orrin⟧ (of York) saw.",
            {"Mr Marl": "other", "E. Orrin": "other"},
        ),
        (
            "⟦C. Joss⟧ and ⟦D. Kirn⟧ QC (instructed by Gorse LLP) appeared.\n⟦LORD MARL⟧: (with whom ⟦Lord Orrin⟧ agrees)",
            {"C. Joss": "counsel", "D. Kirn": "counsel", "LORD MARL": "judge", "Lord Orrin": "counsel"},
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
    ids=["echr bench", "echr parties", "instructed", "told", "speeches", "caption", "hearing", "chinese", "german"],
)  # fmt: skip
def test_by_cues(text: str, expected: dict[str, str]) -> None:
    assert roles_in(text) == expected


def test_captions_of_american_courts() -> None:
    text = (
        "[Hon. ⟦Ida Q. Marl⟧, U.S. District Judge] Before ⟦Pelham⟧, Chief Judge, ⟦Orrin⟧ and ⟦Tasker⟧, Circuit Judges.\n"
        "⟦Abel D. Stone⟧, with whom ⟦Cora G. Flint⟧, ⟦Rolf L. Gant⟧, and ⟦Dan J. Schott⟧ were on brief, for appellant. "
        "Fox & Hare LLP, by ⟦Beth Sherer⟧, ⟦Troy D. Sheldon⟧ and ⟦Kip D. Norton⟧, for plaintiff-appellants. "
        "⟦Josie Stain⟧, Attorney General, by ⟦Jim W. Dogget⟧, Deputy Solicitor General, for the State."
    )
    assert roles_in(text) == {
        **dict.fromkeys(("Ida Q. Marl", "Pelham", "Orrin", "Tasker"), "judge"),
        **dict.fromkeys(("Abel D. Stone", "Cora G. Flint", "Rolf L. Gant", "Dan J. Schott"), "counsel"),
        **dict.fromkeys(("Beth Sherer", "Troy D. Sheldon", "Kip D. Norton"), "counsel"),
        **dict.fromkeys(("Josie Stain", "Jim W. Dogget"), "counsel"),
    }


def test_the_bench_of_a_tribunal() -> None:
    text = (
        "Before\nTHE HON. MR ⟦JUSTICE LARK⟧, PRESIDENT\nMR ⟦C M G OTTER⟧, VICE PRESIDENT\nBetween\n⟦ABEL FOX⟧"
    )
    assert roles_in(text) == {"JUSTICE LARK": "judge", "C M G OTTER": "judge", "ABEL FOX": "other"}


def test_a_list_of_witnesses_shares_no_role_of_the_bench() -> None:
    text = "He met ⟦Ada Roe⟧. ⟦Bo Poe⟧ and ⟦Cy Voe⟧ testified before ⟦Di Joe⟧, District Judge."
    assert roles_in(text) == {"Ada Roe": "other", "Bo Poe": "other", "Cy Voe": "witness", "Di Joe": "judge"}


def test_a_cue_of_one_person_is_not_anothers() -> None:
    assert roles_in("The applicant, ⟦Ann Roe⟧, telephoned ⟦Bob Poe⟧.") == {
        "Ann Roe": "party",
        "Bob Poe": "other",
    }


def test_companies_are_companies_and_dates_nothing() -> None:
    spans = [Span(0, 8, "ORGANIZATION", 0.9, "T"), Span(12, 16, "DATE", 0.9, "T")]
    assert find_roles("Acme Ltd in 2020", spans) == ["company", ""]


def test_the_most_protected_role_of_an_entity_applies() -> None:
    mentions = [(0, "judge"), (0, "other"), (1, "judge"), (1, "victim"), (2, "other"), (3, "")]
    assert merge_roles(mentions) == {0: "judge", 1: "victim", 2: "other", 3: ""}


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Mr Justice ⟦Aldous Orme⟧ dissented.", "judge"),
        ("⟦Orme⟧ LJ agreed.", "judge"),
        ("⟦Orme⟧, Circuit Judge, concurring.", "judge"),
        ("Richterin am Amtsgericht ⟦Jutta Halm⟧", "judge"),
        ("⟦Jutta Halm⟧ als Vorsitzende", "judge"),
        ("代理审判员：⟦孙立⟧", "judge"),
        ("Counsel: ⟦Ida Pym⟧", "counsel"),
        ("counsel for the witness ⟦Gil Hart⟧", "witness"),
        ("⟦Ida Pym⟧ QC for the Crown", "counsel"),
        ("⟦Ida Pym⟧, Esq.", "counsel"),
        ("Prozessbevollmächtigter: Rechtsanwalt Dr. ⟦Ulf Brandt⟧", "counsel"),
        ("委托诉讼代理人：⟦何明⟧", "counsel"),
        ("⟦何明⟧，北京某律师事务所律师", "counsel"),
        ("Police Constable ⟦Ned Foy⟧ arrived.", "official"),
        ("⟦Ned Foy⟧, Deputy Section Registrar", "official"),
        ("Staatsanwältin ⟦Grete Lohs⟧", "official"),
        ("公诉人 ⟦马骏⟧", "official"),
        ("the deceased, ⟦Una Vale⟧, was found", "victim"),
        ("Nebenklägerin ⟦Frieda Kolb⟧", "victim"),
        ("被害人(未成年)⟦小蓝⟧", "victim"),
        ("in the testimony of ⟦Gil Hart⟧", "witness"),
        ("⟦Gil Hart⟧ testified that", "witness"),
        ("Die Zeugin Frau ⟦Vera Sommer⟧", "witness"),
        ("证人⟦周涛⟧", "witness"),
        ("Dr ⟦Otto Nye⟧, a forensic psychiatrist, was heard.", "expert"),
        ("Gutachterin Dr. med. ⟦Ute Falk⟧", "expert"),
        ("鉴定人：⟦吴刚⟧", "expert"),
        ("Her husband, ⟦Tom Reed⟧, left.", "party"),
        ("⟦Tom Reed⟧ (the second applicant)", "party"),
        ("⟦Reed⟧ v. Norway", "party"),
        ("Antragstellerin: ⟦Lotte Kuhn⟧", "party"),
        ("⟦Lotte Kuhn⟧ - Klägerin -", "party"),
        ("被申请人（原审被告）：⟦刘军⟧", "party"),
        ("⟦刘军⟧诉某公司", "party"),
        ("They met ⟦Paul Orr⟧ in a café.", "other"),
        ("Sie trafen ⟦Paul Orr⟧ im Café.", "other"),
        ("后来遇到⟦高山⟧。", "other"),
    ],
)
def test_each_cue_says_one_role(text: str, role: str) -> None:
    assert list(roles_in(text).values()) == [role]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Before: Mr ⟦Joss⟧, Mrs ⟦Kerr⟧ and Dr ⟦Lamb⟧.", ["judge", "judge", "judge"]),
        ("The applicants, ⟦Ann Roe⟧ and ⟦Bob Poe⟧, complained.", ["party", "party"]),
        ("The applicant, ⟦Ann Roe⟧, and ⟦Bob Poe⟧ met.", ["party", "other"]),
        ("Die Zeugen ⟦Anna Klein⟧ und ⟦Hans Groß⟧ sagten aus.", ["witness", "witness"]),
        (
            "Witnesses ⟦Adam Kerr⟧ and ⟦Eve Low⟧ testified. ⟦Guy Moss⟧ did not.",
            ["witness", "witness", "other"],
        ),
    ],
    ids=["bench", "plural", "singular", "German", "next sentence"],
)
def test_only_a_plural_cue_covers_a_list(text: str, expected: list[str]) -> None:
    assert list(roles_in(text).values()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The judge left. ⟦Paul Orr⟧ stayed.",
        "The judge left;\n\n⟦Paul Orr⟧ stayed.",
        "审判长离开。⟦高山⟧留下。",
    ],
)
def test_a_cue_ends_with_its_sentence(text: str) -> None:
    assert list(roles_in(text).values()) == ["other"]


def test_a_title_ends_no_sentence() -> None:
    assert roles_in("The claimant was represented by Mr. ⟦Ida Pym⟧.") == {"Ida Pym": "counsel"}


def test_an_opponent_is_a_party_in_the_caption_only() -> None:
    caption, later = "Roe v. ⟦Poe⟧", "It was Roe against ⟦Poe⟧ again."
    assert roles_in(caption) == {"Poe": "party"}
    assert roles_in("x" * 1500 + " " + later) == {"Poe": "other"}


def test_the_bench_of_a_court_ends_where_it_deliberates() -> None:
    text = (
        "sitting as a Chamber composed of:\n Mr ⟦A. Almo⟧, President,\n Mrs ⟦B. Brun⟧, judges,\n"
        "Having deliberated in private,\n They heard ⟦E. Esk⟧."
    )
    assert list(roles_in(text).values()) == ["judge", "judge", "other"]


@pytest.mark.parametrize("role", ROLES)
def test_companies_have_the_role_of_a_company_and_people_any_other(role: str) -> None:
    assert role_applies(role, "ORGANIZATION") == (role == "company")
    assert role_applies(role, "PERSON") == (role != "company")
    assert not role_applies(role, "DATE")


@pytest.mark.parametrize(("first", "second"), list(pairwise(ROLES)))
def test_roles_are_listed_from_the_most_protected_on(first: str, second: str) -> None:
    assert merge_roles([(1, second), (1, first)]) == merge_roles([(1, first), (1, second)]) == {1: first}


@pytest.mark.parametrize(
    ("text", "name", "role"),
    [
        ("représentée par Me Aurèle Cazeneuve, avocat", "Aurèle Cazeneuve", "counsel"),
        ("Mme Solange Trévidic, conseillère à la cour, a siégé", "Solange Trévidic", "judge"),
        ("le témoin Yann Guernevel a dit", "Yann Guernevel", "witness"),
        ("l'appelante Solange Trévidic soutient", "Solange Trévidic", "party"),
        ("la victime Solange Trévidic est", "Solange Trévidic", "victim"),
        ("magistrado ponente Ramiro Etxarri", "Ramiro Etxarri", "judge"),
        ("el letrado Ramiro Etxarri pidió", "Ramiro Etxarri", "counsel"),
        ("el acusado Ramiro Etxarri negó", "Ramiro Etxarri", "party"),
        ("la testigo Maite Urquizo dijo", "Maite Urquizo", "witness"),
        ("il giudice Ettore Malaspina ha", "Ettore Malaspina", "judge"),
        ("difeso da avv. Ettore Malaspina", "Ettore Malaspina", "counsel"),
        ("il teste e il testimone Ettore Malaspina ha", "Ettore Malaspina", "witness"),
        ("sędzia Bogumił Kowalczuk orzekł", "Bogumił Kowalczuk", "judge"),
        ("świadek Bogumił Kowalczuk zeznał", "Bogumił Kowalczuk", "witness"),
        ("oskarżony Bogumił Kowalczuk nie", "Bogumił Kowalczuk", "party"),
        ("advocaat: Joris Post", "Joris Post", "counsel"),
        ("verdachte Joris Post heeft", "Joris Post", "party"),
        ("getuige Joris Post heeft", "Joris Post", "witness"),
        ("For the Appellant: Ms P Quillon, counsel", "P Quillon", "counsel"),
        ("For the Respondent: Mr T Hargest, Senior Home Office Presenting Officer", "T Hargest", "counsel"),
    ],
)
def test_cues_of_other_languages(text: str, name: str, role: str) -> None:
    start = text.index(name)
    assert find_roles(text, [Span(start, start + len(name), "PERSON", 0.9, "")]) == [role]
