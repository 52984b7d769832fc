"""Patterns that are tried at their triggers find exactly what `re` finds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from fixtures.documents import documents
from lexveil.nlp import citations
from lexveil.nlp.citations import (
    cases,
    chinese,
    continental,
    eponyms,
    german,
    institutions,
    offices_zh,
    statutes,
)
from lexveil.nlp.citations.rule import LAW, find_ranges
from lexveil.nlp.patterns.triggers import Pattern, PatternSet
from lexveil.nlp.recognizers import base, engine

SEED = 20261130
RULES = (
    *chinese.RULES,
    *continental.RULES,
    *eponyms.RULES,
    *german.RULES,
    *institutions.RULES,
    *statutes.RULES,
)
SETS = {
    "shared": base.SHARED,
    "en": base.ENGLISH,
    "de": base.GERMAN,
    "mul": base.CONTINENTAL,
    "zh": base.CHINESE,
    "law": LAW,
}
# Filler that carries a match to the edge of a line, a text or a stretch.
_FILLER = ["", "\n\n\t.,;:()'\"-/§$€%&#@+*0123456789aàÀäßİıſKéЖжиIVXvx's某年月日号第元"]


def spans(pattern: re.Pattern[str] | Pattern, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def check(source: str, text: str, flags: int = 0, core: str = "") -> Pattern:
    pattern = PatternSet().compile(source, flags, core)
    padded = text + "\n" + "z" * 100  # a short text is not read at triggers
    assert spans(pattern, padded) == spans(re.compile(source, flags), padded)
    assert spans(pattern, "z" * 100 + "\n" + text) == spans(
        re.compile(source, flags), "z" * 100 + "\n" + text
    )
    return pattern


@cache
def written() -> tuple[str, ...]:
    """Documents of the generator, and texts of their words and of what rules look for, in any order."""
    made = [document.text for document in documents(12, SEED)]
    randomly = random.Random(SEED)
    words = sorted({word for text in made for word in text.split(" ")})
    strings = sorted(
        string
        for one in SETS.values()
        for pattern in one.patterns
        if pattern.trigger
        for string in pattern.trigger.strings
    )
    return (*made, *("".join(mix(randomly, words, strings)) for _ in range(6)))


def mix(randomly: random.Random, words: Sequence[str], strings: Sequence[str]) -> Iterator[str]:
    for _ in range(700):
        yield randomly.choice(words if randomly.random() < 0.6 else strings)
        yield randomly.choice((" ", " ", " ", "\n", ", ", "", randomly.choice("".join(_FILLER))))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_every_pattern_of_the_rules_finds_what_re_finds(name: str) -> None:
    assert all((engine, citations, cases, offices_zh))  # they have made their patterns
    words = " ".join(word for rule in RULES for word in rule.needs)
    list(find_ranges([rule._replace(also=()) for rule in RULES], words))  # makes their patterns
    assert len(SETS[name].patterns) > 5
    for text in written():
        for pattern in SETS[name].patterns:
            assert spans(pattern, text) == spans(pattern.compiled, text), pattern.compiled


@pytest.mark.slow  # `re` takes seconds to read them all
@pytest.mark.parametrize("name", SETS)
def test_every_pattern_is_compiled_to_what_re_makes_of_it(name: str) -> None:
    for pattern in SETS[name].patterns:
        plain = re.compile(pattern.source, pattern.flags)
        for text in written()[-3:]:
            assert spans(pattern.compiled, text) == spans(plain, text), pattern.source


@pytest.mark.parametrize("name", SETS)
def test_most_patterns_have_a_trigger(name: str) -> None:
    patterns = SETS[name].patterns
    assert sum(bool(pattern.trigger or pattern.core) for pattern in patterns) >= 0.75 * len(patterns)


@pytest.mark.parametrize(
    ("source", "flags", "text"),
    [
        (r"Mr\.? [A-Z]\w+", 0, "Mr Roe saw Mr. Poe, and MrMr Moe"),
        (r"(?:the )?(?:early |late )?May \d{4}", 0, "the early May 2001, late May 2002, May 20031"),
        (r"(?<!\d)\d{3}-\d{2}(?!\d)", 0, "1234-56 123-45 12-345 123-456 0123-45,123-45"),
        (r"\b\d{1,3}(?:\.\d{3})+", 0, "1.234 12.345.678 1234.567 a1.234 ١.٢٣٤"),
        (r"(?:\d{1,2}\. )?Januar", 0, "3. Januar 33. Januar Januar 333. Januar"),
        (r"[A-Z]\w*(?: \w+){0,3} Court", 0, "One two three four Court The Court\nHigh\nCourt of Court Court"),
        (r"(?m)^[ \t]*Name: (\w+)$", 0, "Name: Roe\n  Name: Poe\nName: Moe \n\nmy Name: Voe\nName: Last"),
        (r"(?:^|\n)\(?No\. (\d+)", 0, "No. 12\nNo. 13 No. 14\n\n(No. 15"),
        (r"[^\n]{2,40}? v\. [^\n]+$", re.MULTILINE, "Roe v. Poe\na v. b\nxx v. \n v. Roe\nRoe v. Poe v. Moe"),
        (r"\w+@\w+\.\w+", 0, "a@b.c @b.c a@b a.b@c.d.e a@@b.c"),
        (r"\w+(?=,? (?:LLP|Solicitors))", 0, "Roe LLP, Poe, Solicitors Moe LLPs Voe"),
        (r"(?i)\bsuisse ki", 0, "SUISSE KI sUISSE Kı ſuiſſe kİ \u017fUISSE \u212ai suisse\nki"),
        (r"(?i:straße) \d", 0, "STRAßE 1 Straẞe 2 strasse 3"),
        (r"Σοφία|ΣΟΦΊΑς", re.IGNORECASE, "ΣΟΦΊΑ σοφία ΣΟΦΊΑΣ"),
        (r"a.{0,5}b", re.DOTALL, "a\n\nb a12345b a123456b"),
        (r"(\w)\1+ end", 0, "aa end bb end ab end"),
        (r"(?>a+)b|[xy]{2}z", 0, "aaab xyz xxz ab"),
        (r"§{1,2} ?\d+[a-z]?(?:, \d+)*", 0, "§ 1, 2, 3 §§ 4a, 5 § §6"),
    ],
)
def test_a_pattern_finds_what_re_finds(source: str, flags: int, text: str) -> None:
    pattern = check(source, text, flags)
    words = re.findall(r"\S+|\s", text)
    randomly = random.Random(SEED)
    for _ in range(40):
        randomly.shuffle(words)
        check(source, "".join(words), flags)
    assert pattern.compiled.pattern in (source, None)


def test_the_strings_of_a_trigger_are_those_that_every_match_contains() -> None:
    patterns = PatternSet()
    month = patterns.compile(r"\d{1,2} (?:May|June) \d{4}").trigger
    assert month
    assert {string.strip() for string in month.strings} == {"May", "June"}
    assert month.most - month.least == 1
    either = patterns.compile(r"(?:Mr|Mrs) \w+|\w+ Esq").trigger
    assert either
    assert {"Mr ", "Mrs ", " Esq"} <= either.strings
    number = patterns.compile(r"(?<!\w)\d{7}(?!\w)").trigger
    assert number
    assert number.digits
    assert number.first
    assert not number.strings


def test_what_stands_nearly_everywhere_is_no_trigger() -> None:
    for source in (r"\w+ \w+", r"[a-z]+", r"e\w+", r"(?:May)?\w+", r"(?!May)\w+", r"(?<=May )\w+"):
        assert PatternSet().compile(source).trigger is None


def test_a_core_limits_a_pattern_to_lines_that_have_it() -> None:
    source, core = r"[A-Z]\w+(?: [A-Z]\w+)*,? \d{5}(?!\d)", r"\d{5}(?!\d)"
    text = "Upper Town 12345 and Lower Town, 54321\nNo Zip Here\n12345\nTown 123456 Town 99999"
    check(source, text, core=core)
    found = PatternSet().compile(source, core=core).finditer(text * 3)
    assert [match.group() for match in found][:2] == ["Upper Town 12345", "Lower Town, 54321"]


def test_a_pattern_may_join_a_set_that_has_read_a_text() -> None:
    patterns = PatternSet()
    text = "Mr Roe, 5 May 2001 " * 10
    assert len(spans(patterns.compile(r"Mr \w+"), text)) == 10
    assert len(spans(patterns.compile(r"\d May \d{4}"), text)) == 10


# Clauses for each kind of finding: with its edges, with what nearly is one, and one after another.
SENTENCES = (
    "Mr John Smith and Mrs Jane Q. Roe, Esq.,",
    "met Dr. van der Berg,",
    "the plaintiff Poe and his late brother.",
    "The witness, John P. Doe, aged 45,",
    "born on 3 March 1956 in Elmsworth; (b. 1956),",
    "a 45-year-old, 45 y/o.",
    "Name: Jane Roe\nWITNESS: JOHN DOE\nBy: /s/ John Doe\n",
    "Attn: Ms Poe\n\nRe: Roe v. Poe\nFrom: Jane Roe",
    "JOHN DOE,\n          Plaintiff,\n  v.\n",
    "ACME INC. and Jane Roe,\n   Defendants.\n\n",
    "In re Estate of Jane Roe",
    "CASE OF ROE v. NORWAY\n(Application no. 54321/08)\n",
    "In the case of Roe and Others v. Norway, no. 1/02,",
    "J.P. and A.B.C. met the U.S. consul;",
    "J. P. Morgan & Co. did not; K.-H. Roe of N.Y. did,",
    "née Poe, alias Voe.",
    'Acme Holdings Ltd ("Acme"), Roe, Poe & Moe LLP,',
    "Bank of Elmsworth, Elmsworth University Hospital,",
    "Voe GmbH & Co. KG.",
    "The First National Bank,",
    "the Municipality of the Upper Town,",
    "Roe and Poe Solicitors, A.B. Voe S.p.A., e.V.",
    "12 High Street, Flat 3, London SW1A 1AA; P.O. Box 12,",
    "Elmsworth, CA 90210-1234; 5th Floor, 1 Main St.",
    "350 Fifth Avenue, Suite 12, New York, NY 10118, USA;",
    "Hauptstraße 5, 50667 Köln; residing in Upper Town.",
    "He lives in the village of Nether Roe, Voe County,",
    "and works at Elmsworth; 1 Roe Way, Elmsworth, 12345.",
    "Call +44 20 7946 0958 or (212) 555-0123 ext. 12,",
    "tel. 020 7946 0958, fax: 0049-30-123456, +1 555\n",
    "0123 456.",
    "zero two zero seven nine four six zero nine five eight;",
    "double five one two three four five six seven",
    "Write to roe@example.org,",
    "j.roe+x@mail.example.co.uk or jane dot roe at example dot org;",
    "@roe, roe@, a@b",
    "See https://www.example.org/a?b=c#d, www.example.org,",
    "EXAMPLE.COM, S.p.A., v.Union, 10.0.0.1/8, ::1,",
    "fe80::1%eth0",
    "The MAC 00:1B:44:11:3A:B7 and 001b.4411.3ab7 at 12:30:45;",
    "version 1.2.3.4, section 10.1.2.3, 255.255.255.255",
    "IBAN GB29 NWBK 6016 1331 9268 19, DE89370400440532013000,",
    "card 4111 1111 1111 1111, xxxx-xxxx-xxxx-1234,",
    "account no. 12345678, sort code 12-34-56,",
    "Konto: 1234 5678, ABA 021000021, a/c ending in 1234,",
    "SWIFT NWBKGB2L",
    "SSN 123-45-6789, ***-**-6789, A 123 456 789,",
    "passport no. AB1234567, driver's license D123-4567,",
    "HRB 12345,",
    "NINO AB123456C, CPF 123.456.789-09,",
    "CNPJ 12.345.678/0001-95, NIR 1 84 12 76 451 089 46,",
    "DE 123456789, ATU12345678",
    "plots nos. 12, 13/4 and 15; land registry folio no. 77;",
    "medical record: 1234567; policy no. X12-345/6;",
    "123456789012",
    "The car, a BMW, plate AB12 CDE, B-MW 1234,",
    "license plate: 7ABC123, registered as M-AB 123,",
    "AA-123-BB; 京A12345",
    "Case No. 1:23-cv-01234-ABC(XY),",
    "docket nos. 12-345 and 13-456, HC-2016-001234, CR123/45,",
    "2019/1234, I ZR 12/03,",
    "K. 12/2003, E.2001/345, no. 12345/67,",
    "(nos. 1/02 and 3/04), W.P. No. 12 of 2001, Az. 7 U 61/01,",
    "RG n° 12/03456",
    "on 3rd May 2001, May 3, 2001, the beginning of May 2001,",
    "2001-05-03T12:30:45Z, 3.5.2001, 03/05/01, May/June 2001,",
    "since 1999, from 1999 to 2001, in late 1999,",
    "the summer of 2000, 12 May and 13 June,",
    "section 5 May be amended,",
    "am 3. Mai 2001, im Januar 2002, le 3 mai 2001,",
    "1 and 2 March 1999, 31 Dec. 2000, 2001年5月3日, 二〇〇一年五月,",
    "5月3日",
    "EUR 1,234.56, $5 million, 12 per cent,",
    "twenty-five hectares, 3.5 %, 100 m², CHF 12'345.-,",
    "one hundred euros, 5元",
    "The plaintiff's husband, his ex-wife Jane Roe,",
    "the sister of Mr Voe, a cousin of the deceased,",
    "Roe's children",
    "Der Kläger Kurt Bergmann, geboren am 3. Mai 1956,",
    "wohnhaft Am Markt 5, 50667 Köln, und Frau Dr. Jutta Roe",
    "Le requérant, M. Jean Roe, né le 3 mai 1956,",
    "demeurant 5 rue de la Paix, 75002 Paris,",
    "la société Voe SARL",
    "El demandante don Juan Roe Poe, con DNI 12345678Z,",
    "calle Mayor 5, 28013 Madrid; Sr. Voe; la mercantil Roe,",
    "S.L.",
    "被告人赵立强，男，1970年5月3日生，身份证号110101197005031234，住北京市海淀区中关村大街5号，手机13812345678。",
    "北京市海淀区人民法院(2019)京0108刑初76号刑事判决书；京海检公诉刑诉〔2019〕12号；证人孟某某、王某甲。",
    "Roe v. Poe, 123 F.3d 456, 789 (9th Cir. 1998);",
    "[2001] UKHL 12, [13]; [2001] 1 AC 2; 2001 SCC 12;",
    "AIR 1973 SC 1461",
    "Article 6 § 1 of the Convention,",
    "section 12(3)(a) of the Companies Act 2006, ss 5,",
    "6 and 7, 42 U.S.C. § 1983, CPR 3.4",
    "BGH, Urteil vom 3. Mai 2001 - I ZR 12/03, NJW 2001, 1234;",
    "§ 823 Abs. 1 BGB; Art. 5 Abs. 1 GG; BGBl. I S. 12",
    "Cass. civ. 1re, 3 mai 2001, n° 99-12.345;",
    "art. L. 121-1 du code; STS 123/2001, de 3 de mayo;",
    "Ley 1/2000, de 7 de enero",
    "Directive 95/46/EC, Regulation (EU) 2016/679, C-131/12,",
    "EU:C:2014:317, ECLI:EU:C:2014:317; ECHR 2001-IV,",
    "Series A no. 12",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_all_patterns_agree_on_sentences_in_any_order(name: str) -> None:
    randomly = random.Random(SEED)
    lines = [*SENTENCES, *map(str.upper, SENTENCES), *(line.replace(" ", "\n") for line in SENTENCES)]
    randomly.shuffle(lines)
    for joint in ("\n", " "):
        text = joint.join(lines)
        for pattern in SETS[name].patterns:
            assert spans(pattern, text) == spans(pattern.compiled, text), pattern.compiled


_ATOMS = (
    "a",
    "b",
    "Mr",
    "1",
    "§",
    " ",
    "\\n",
    ".",
    "\\d",
    "\\w",
    "\\s",
    "\\b",
    "[a1]",
    "[^a]",
    "[ \\n]",
    "[A-Z]",
    "[\\d(]",
    "(?i:m)",
    "(?<!\\d)",
    "(?<!\\w)",
    "(?!b)",
    "(?=.1)",
    "$",
    "(?m:^)",
    "(?m:$)",
)
_ALPHABET = "ab1 2\nMmRr§.(İı"


def make_pattern(randomly: random.Random, depth: int) -> str:
    """Return a regular expression of random atoms, groups, alternatives and repetitions."""
    pieces: list[str] = []
    for _ in range(randomly.randint(1, 4)):
        deeper = depth and randomly.random() < 0.4
        piece = f"(?:{make_pattern(randomly, depth - 1)})" if deeper else randomly.choice(_ATOMS)
        repeatable = deeper or (piece[-1] not in "$)" and piece != "\\b")
        pieces.append(piece + (randomly.choice(("", "", "?", "{2}", "{1,3}", "?")) if repeatable else ""))
    if randomly.random() < 0.25:
        return f"{''.join(pieces)}|{make_pattern(randomly, 0)}"
    return "".join(pieces)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_patterns_find_what_re_finds(seed: int) -> None:
    randomly = random.Random(SEED + seed)
    texts = ["".join(randomly.choices(_ALPHABET, k=250)) for _ in range(5)]
    gated = 0
    for _ in range(120):
        source = make_pattern(randomly, 2)
        flags = randomly.choice((0, 0, re.IGNORECASE, re.MULTILINE, re.DOTALL))
        pattern = PatternSet().compile(source, flags)
        gated += pattern.trigger is not None
        for text in texts:
            assert spans(pattern, text) == spans(re.compile(source, flags), text), source
    assert gated > 20
