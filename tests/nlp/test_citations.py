"""What is law stays readable, and is found fast; what must stay readable is marked with ⟦ ⟧."""

from __future__ import annotations

import logging
import re
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules

import pytest

from fixtures.citations import CitedSentence, OwnCase, citation_sentences, own_cases
from lexveil.nlp import citations as package
from lexveil.nlp.citations import citations
from lexveil.nlp.citations.rule import Rule
from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer, find_own_numbers
from tests.nlp.recognizers.marked import mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "As in ⟦Doe v. Acme Widgets, Inc., 123 U.S. 456, 460 (1990)⟧, so here.",
        "See ⟦Roe v. Poe, 5 F.3d 12 (9th Cir. 1993)⟧.",
        "a ⟦Mareva injunction⟧ and the ⟦Bolam test⟧",
        "The ⟦Daubert factors⟧. a ⟦Mareva⟧ was sought on ⟦Wednesbury⟧ and other grounds",
        "the rule in ⟦Henderson v Henderson⟧, a ⟦Henderson abuse⟧",
        "Mr Calderbank is satisfied; the Calderbank Estate; by Calderbank's aunt",
        "the ⟦Quillon ruling⟧ and the ⟦Quillon line of cases⟧",
        "the Quillon ruling, which Mr Quillon had obtained",
        "set in ⟦Times New Roman⟧ or",
        "⟦Roe v. Poe, 5 F.4th 12, 15 n.4 (1st Cir. 2021)⟧ holds",
        "⟦In re Vane, 5 F.3d 12, 15 (2d Cir. 1990)⟧ holds",
        "⟦Ex parte Roe, 12 U.S. 34 (1820)⟧ is",
        "⟦Quill v. Elm, 2015 WL 1234567⟧ says",
        "⟦Vane v. Roe, 123 Mass. 456, 78 N.E.2d 90 (1948)⟧ says",
        "under ⟦42 U.S.C. § 1983⟧ and",
        "⟦29 C.F.R. § 1614.105(a)⟧ and",
        "⟦Fed. R. Civ. P. 12(b)(6)⟧",
        "⟦U.S. Const. amend. XIV, § 1⟧",
        "⟦Pub. L. No. 104-191⟧",
        "⟦110 Stat. 1936⟧",
        "⟦Cal. Civ. Code § 1714(a)⟧ says",
        "⟦N.Y. Gen. Bus. Law § 349⟧",
    ],
)
def test_the_united_states(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "see ⟦Poe v. Turkey [GC], no. 12345/67, § 44, 5 May 2005⟧, and",
        "⟦Roe and Others v. the United Kingdom, nos. 1234/02 and 345/04⟧.",
        "cf. ⟦Vane v. Poland (dec.), no. 1234/05, 3 June 2008⟧",
        "see ⟦Vane v. Turkey⟧ and",
        "⟦Vane v. Italy, judgment of 3 May 1999⟧",
        "In ⟦Vane v. Turkey, no. 1/02⟧, the Court. The ⟦Vane⟧ judgment",
        "In ⟦Vane v. Turkey, no. 1/02⟧, the Court. ⟦Vane, § 44⟧, is",
        "In ⟦Vane v. Turkey, no. 1/02⟧, the Court. In ⟦Vane v. Turkey⟧ it",
        "the case of ⟦Vane v. Turkey, cited above, § 12⟧",
        "⟦Article 6 § 1 of the Convention⟧ applies",
        "⟦Article 2 of Protocol No. 1⟧",
        "⟦Rule 39 of the Rules of Court⟧",
    ],
)
def test_strasbourg(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦C-123/04⟧ is",
        "⟦Case C-12/03 P⟧ and",
        "⟦Joined Cases C-1/02 and C-2/02⟧ decide",
        "⟦EU:C:2014:317⟧ stands",
        "⟦ECLI:EU:C:2014:317⟧ stands",
        "⟦Directive 95/46/EC⟧ says",
        "⟦Regulation (EU) 2016/679⟧",
        "⟦Council Directive 93/13/EEC⟧",
        "⟦Richtlinie 2001/29/EG⟧",
        "⟦Article 101 TFEU⟧",
    ],
)
def test_the_european_union(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦R v Poe [2002] UKHL 1⟧ applies",
        "⟦Roe v Vane [2010] EWCA Civ 123⟧",
        "⟦Vane v Quill [1990] 1 AC 12⟧",
        "⟦[2019] EWHC 123 (Ch)⟧",
        "the ⟦Companies Act 2006⟧",
        "⟦section 2 of the Theft Act 1968⟧",
        "⟦s 12(1)⟧ of the",
        "⟦CPR 3.4⟧",
        "⟦SI 1999/3132⟧",
        "⟦Roe v Vane [2001] HCA 12⟧",
        "⟦Roe v Poe (1999) 12 CLR 34⟧",
        "the ⟦Trade Practices Act 1974 (Cth)⟧",
        "⟦Roe v Poe, 2005 SCC 12⟧",
        "⟦R v Vane, 2010 ONCA 123⟧ holds",
        "⟦Criminal Code, RSC 1985, c C-46⟧",
        "⟦Roe v Union of India, AIR 1978 SC 597⟧",
        "⟦section 302 IPC⟧",
        "the ⟦Securities Act of 1933⟧ applies",
    ],
)
def test_the_commonwealth(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦BGH, Urteil vom 12. Mai 2010 - I ZR 12/03⟧ und",
        "⟦OLG Köln, Beschluss vom 3.4.2012 - 6 U 12/11⟧",
        "⟦Urteil vom 3. Mai 2005 - 5 StR 12/05⟧",
        "nach ⟦§ 823 Abs. 1 BGB⟧ haftet",
        "nach ⟦§ 823⟧ haftet",
        "⟦§§ 280, 281 BGB⟧",
        "⟦Art. 3 Abs. 1 GG⟧",
        "⟦Art. 6 EMRK⟧",
        "⟦BGHZ 123, 45⟧",
        "⟦BVerfGE 12, 34⟧",
        "⟦NJW 2005, 1234⟧",
        "⟦BT-Drucks. 16/1234⟧",
        "das ⟦Urheberrechtsgesetz⟧ ist",
        "⟦Cass. civ. 1re, 3 juillet 2010, n° 09-12.345⟧",
        "⟦CE, 12 mars 2008, n° 123456⟧",
        "⟦article 1382 du code civil⟧",
        "⟦loi n° 78-17 du 6 janvier 1978⟧",
        "⟦décret n° 2005-850⟧",
        "le ⟦code civil⟧ dit",
    ],
)
def test_germany_and_france(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "依照⟦《中华人民共和国刑法》第二百六十四条⟧之规定",
        "⟦《民事诉讼法》⟧",
        "根据⟦第十二条第一款⟧",
        "⟦法释〔2015〕5号⟧",
        "参照⟦指导案例24号⟧",
        "⟦《最高人民法院公报》2015年第3期⟧",
        "⟦类案（2018）浙01民终123号⟧",
        "向⟦浙江省淳安县人民法院⟧起诉",
        "⟦宁波市公安局鄞州分局⟧立案",
        "依民法⟦第184條第1項⟧規定，亦見刑法⟦第339條之4⟧",
        "（⟦最高法院109年度台上字第2345號判決意旨參照⟧）",
        "⟦司法院釋字第748號解釋⟧",
        "不服⟦臺灣臺中地方法院⟧判決",
        "⟦臺灣高等法院臺南分院⟧審理",
        "於⟦九龍城裁判法院⟧提堂",
    ],
)
def test_china(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


def _kept(sentence: CitedSentence) -> bool:
    return any(s <= sentence.start and sentence.end <= e for s, e in citations(sentence.text))


def test_ten_systems_of_law_stay_readable() -> None:
    sentences = citation_sentences()
    kept = [sentence for sentence in sentences if _kept(sentence)]
    assert len(sentences) >= 300
    assert len({sentence.system for sentence in sentences}) == 10
    assert len(kept) >= 0.99 * len(sentences)


@pytest.mark.parametrize("own", own_cases(), ids=lambda own: own.system)
def test_a_cases_own_number_is_found_and_no_citation(own: OwnCase) -> None:
    numbers = find_own_numbers(own.text)
    law = [(s, e) for s, e in citations(own.text) if not any(number in own.text[s:e] for number in numbers)]
    found = [
        (f.start, f.end)
        for f in LexveilCaseNumberRecognizer().find(own.text)
        if not any(s < f.end and f.start < e for s, e in law)
    ]
    found += [m.span() for number in numbers for m in re.finditer(re.escape(number), own.text)]
    for mention in re.finditer(re.escape(own.number), own.text):
        assert any(s <= mention.start() and mention.end() <= e for s, e in found)


@pytest.mark.parametrize(
    "text",
    [
        "according to Mr Roe. In Vane v. Turkey, no. 12345/67, the Court",
        "said Mr Roe, who left. See Vane v. Poe, 1 U.S. 2 (1801).",
        "Mr Roe's 6/24/1991 letter cites Vane v. Turkey, no. 12345/67.",
        "under the Code of Obligations and Mr Roe was heard",
        "Agent, Ambassador Roe, Head of the International Law Department",
    ],
)
def test_a_citation_takes_no_neighbor_along(text: str) -> None:
    at = text.index("Roe")
    assert not any(s <= at < e for s, e in citations(text))


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "A v. ",
        "§ 1, ",
        "Vane and ",
        "(",
        "Art. 1 ",
        "1 U.S. 1, ",
        "no. 1/1, ",
        "第一条",
        "[2000] ",
        "of the ",
    ],
)
def test_no_pattern_backtracks(unit: str) -> None:
    """Twice the text takes about twice the steps: a hostile run of 40,000 characters ends at all."""
    citations(unit * (40_000 // len(unit)))


@pytest.mark.parametrize(
    "text",
    [
        "Ann Roe lives at 12 Elm Road.",
        "CASE OF ROE v. TURKEY\n\n(Application no. 1234/05)",
        "Roe v. Acme Ltd\n",
        "the plaintiff versus the defendant",
        "Mr Roe paid 5 euros",
        "The Court finds",
        "Roe, 12, left",
        "page 12 of 34",
        "Chapter 5",
        "an act of God",
        "the code is 1234",
        "art and science",
        "(2018)浙01民终123号",
        "110年度訴字第1234號",
        "Date: Sat, 11 Mar 2023 10:15:00",
        "on 4 Dec. 1999",
        "张三诉李四",
        "der Kläger 12/03",
        "《论语》",
        "",
    ],
)
def test_nothing_to_keep(text: str) -> None:
    assert citations(text) == []


def test_sorted_and_merged() -> None:
    ranges = citations(
        "See Doe v. Poe, 1 U.S. 1 (1800); 42 U.S.C. § 1983; Roe v. Poe, 2 U.S. 2 (1801). " * 30
    )
    assert ranges == sorted(ranges)
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))


def test_no_text_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        citations("Roe v. Wade, 410 U.S. 113; id. at 5. Canary, 5 F.3d at 12.")
    assert "Canary" not in caplog.text


def test_every_rule_compiles() -> None:
    """Rules are compiled when a text needs them."""
    modules = [import_module(f"lexveil.nlp.citations.{one.name}") for one in iter_modules(package.__path__)]
    rules = [
        value
        for module in modules
        for many in vars(module).values()
        if isinstance(many, tuple)
        for value in many
        if isinstance(value, Rule)
    ]
    assert len(rules) > 50
    for rule in rules:
        re.compile(rule.pattern)
        assert rule.needs
