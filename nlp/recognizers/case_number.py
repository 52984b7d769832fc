# ruff: noqa: E501  -- patterns read best on one line
"""Case and docket numbers. `lexveil.nlp.citations` decides which of them cite another case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from lexveil.nlp.citations.continental import NUMBER_CNJ
from lexveil.nlp.citations.german import FILE_NUMBER_DE
from lexveil.nlp.citations.rule import LAW
from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import LABELED, SHAPED, SHARED, Finding, RuleRecognizer, find_matches

_NUMBER = r"(?=[\w:./-]*\d)[A-Z0-9](?:[\w:./-]|\(\w{1,6}\))*(?<![:./-])"
_FEDERAL = SHARED.compile(
    r"(?<![\w-])(?:\d{1,2}:)?\d{2,4}-(?:[A-Za-z]{2,4}|MJ|CV|CR)-\d{2,7}(?:-[A-Z][A-Za-z]{0,5}){0,3}(?:\([A-Z]{1,4}\))?(?![\w])"
)
_LABELED = SHARED.compile(
    r"(?i:\b(?:case|docket|actions?|cause|index|appeal|petition|suit|claim|file|matter|application|complaint|"
    r"indictment|proceedings?|reference|ref|warrant|incident|report|Aktenzeichen|Geschäftszeichen|Az|Gz|decision|judgment|record|order|invoice|A\.?T\.?|L\.?R\.?|W\.?P\.?|O\.?A\.?|S\.?L\.?P\.?)"
    r"s?\.?,? ?(?:\([A-Za-z. ]{1,8}\)\.? ?)?(?:(?:file|case|docket|reference|ref|report|registration|entry)\.? )?\(?(?:nos?\b\.?|numbers?\b|nr\b\.?|id\b|#|:)(?: is| was)?:?\s*)"
    rf"((?:{_NUMBER})(?: (?:of|OF) (?:19|20)\d\d)?(?:(?:, | and |, and | & ){_NUMBER})*)"
)
_LABELED_DE = SHARED.compile(
    rf"\b(?:Aktenzeichen|Geschäftszeichen|Az\.?|Gz\.?|AZ|GZ|GeschNr\.?|Geschäftsnummer)[: ]{{1,3}}({FILE_NUMBER_DE}|[\w.-]{{2,12}}(?: [\w()]{{1,6}}){{0,3}} \d{{1,6}}/\d{{2,4}})"
)
_LABELED_FR = SHARED.compile(
    r"(?i:\b(?:pourvoi|RG|rôle(?: général)?|minute|portalis|parquet|dossier|requête|affaire|arrêt|jugement|n°(?: de| du)?(?: pourvoi| RG| rôle| dossier| parquet| minute| portalis)?)[ :]{0,2}(?:n[°ºo]s?)?[ .:]{0,3})"
    r"(?<![a-z])((?:[A-Z]{1,2} )?\d{2}[-/.]\d{2}[.-]\d{3}|\d{2}/\d{4,6}|[A-Z0-9]{2,6}(?:-[A-Z0-9]{1,6}){2,6}|\d{8,14})(?!\w)"
)
_NO = SHARED.compile(
    r"\b[Nn]os?\. ?((?:[A-Z]{0,4}[ -]?)?\d{1,6}(?:[/-](?:[A-Z]{1,4}[/-])?\d{1,6})+(?:-[A-Z]{1,4})?"
    r"(?:(?:, | and |, and )\d{1,6}[/-]\d{2,6})*)"
)
_ECHR = SHARED.compile(r"(?<![\w/.,-])\d{2,6}/\d{2}(?![\w/]|[.,]\d)")
_BRACKETED_NO = SHARED.compile(r"\((?:no|nos)\. (\d{1,6}/\d{2,4}(?:(?:, | and )\d{1,6}/\d{2,4})*)\)")
_COURT_FILE = SHARED.compile(
    r"(?<![\w/-])(?:[A-Z]{2,4} ?\d{1,6} (?:of|OF) (?:19|20)\d{2}|[A-Z]{1,4}/\d{1,6}/(?:19|20)\d{2}|\d{2,4}-\d{2,7}-[A-Z]{2,4}|\d{3,7}/(?:19|20)\d{2}|\d{2}/\d{3,6}/[A-Z]{1,3})(?![\w/-])"
)
_EU_DOMESTIC = SHARED.compile(
    r"(?<!\w)(?:[EK]\.? ?(?:no\.? ?)?|(?:[A-Z][A-Za-z]{0,4} ){1,2})\d{1,5}/(?:19|20)?\d{2}(?![\w/])"
)
_YEAR_SLASH = SHARED.compile(r"(?<![\w/.,])(?:19|20)\d{2}/\d{1,6}(?:-\d{1,6})?(?![\w/]|[.,]\d)")
_GERMAN = SHARED.compile(
    r"(?<![\w§])(?:\d{1,4}|[IVX]{1,4}) (?:[A-Z][A-Za-z]{0,4}|[a-z]|ZR|StR|ZB|BvR|AZR|[A-Z]{1,3}s)(?: \([A-Za-z]+\))? "
    r"\d{1,6}/(?:\d{2}|(?:19|20)\d{2})(?:[A-Z])?(?!\w)"
)
_CHINESE = SHARED.compile(
    rf"[(〔\[]\s?\d{{4}}\s?[)〕\]]\s?[{HAN}]{{1,3}}\d{{0,6}}[{HAN}]{{1,6}}(?:第)?\s?\d{{1,7}}(?:[-之]\d{{1,3}})?\s?号(?:之[一二三四五六七八九十]+)?"
)
# Taiwan: 110年度诉字第1234号; Hong Kong: 高院民事诉讼2019年第1234号.
TAIWAN = rf"(?<!\d)\d{{2,3}} ?(?:年度?)? ?[{HAN}]{{1,8}}字 ?第 ?\d{{1,6}} ?号"
_TAIWAN = SHARED.compile(TAIWAN)
_HONG_KONG = SHARED.compile(
    r"(?<!\d)(?<=诉讼|案件|上诉|申请|程序|呈请|讼 |件 |诉 |请 |序 )\d{4} ?年 ?第 ?\d{1,5} ?号"
)
_PLAIN_ZH = SHARED.compile(
    rf"[{HAN}]{{1,6}}(?:[{HAN}]诉|公诉|起诉|检\S{{0,4}}诉)(?:〔|\[|\()\d{{4}}(?:〕|\]|\))\d{{1,6}}号"
)
_UK_CLAIM = SHARED.compile(
    r"(?<!\w)(?:[A-Z]{2,3}-\d{4}-\d{5,6}|[A-Z]{1,3}\d{2}[A-Z]{1,2}\d{4,6}|[A-Z]\d{2}[A-Z]{2}\d{3})(?!\w)"
)
# Applications that the document is about: in its head, or in the sentence on how the case began. As citations,
# they are looked for in the whole text.
_OWN_APPLICATIONS = LAW.compile(
    r"(?i:originated in (?:an|\w+) applications? |joined applications )\((?i:nos?)\. ([^)]{3,200})\)|"
    r"(?:^|\n)[ \t]*\(?(?:Applications?|APPLICATIONS?) [Nn][Oo][Ss]?\. ([^)\n]{3,200})"
)
_ITEM = re.compile(r"\d{1,6}/\d{2,4}")
# The document's own number at its head: alone on a line, or after a label.
_OWN_AT_HEAD = tuple(
    SHARED.compile(pattern)
    for pattern in (
        r"(?m)^[ \t(]*[Nn][Oo][Ss]?\.? ([A-Z]{0,3}-?\d[\w:-]*\d)[ \t)]*$",
        r"(?m)^[ \t(]*(?:In )?(?:Joined )?Cases? ([CTF]-\d{1,4}/\d{2}(?: P)?)(?:(?:,| and| to|, and) ([CTF]-\d{1,4}/\d{2}(?: P)?))*[ \t,)]*$",
        r"(?i:\b(?:neutral )?citation(?: number)?):? ?(?:[^\n\[]{0,90}?)(\[\d{4}\] [A-Z]{2,8}(?: (?:Civ|Crim|Admin))? \d+(?: \(\w+\))?|(?:19|20)\d\d [A-Z]{2,6} \d{1,6})",
        r"(?m)^[^\n]{3,90} v\.? [^\n]{2,90}? (\[\d{4}\] [A-Z]{2,8} \d+)[ \t]*$",
        r"(?m)^[ \t]*ECLI:? ?(ECLI:[A-Z]{2}:[A-Za-z0-9]+:\d{4}:[A-Za-z0-9.]*[A-Za-z0-9])",
        rf"(?m)^[ \t-]*({FILE_NUMBER_DE})[ \t-]*$",
        # Spain's databases, and a line of its own in the first three: the decision itself, not one that it cites.
        r"(?m)^[ \t]*(?:[Nn]\.? ?(?:de )?)?R(?:oj|OJ):? ?([SA][A-Z]{1,5}(?: [A-Z]{1,3})? \d{1,5}/\d{4})(?:[ \t-]*(ECLI:[A-Z]{2}:[A-Z0-9]+:\d{4}:[\dA-Z.]*[\dA-Z]))?",
        r"(?m)\A\s*(?:[^\n]*\n){0,2}[ \t]*(?:Cass\.|Cassazione|S?STS|S?STC|ATS|ATC|SAP|SAN|STSJ)[^\n]{0,60}?(?<![\d/])(\d{1,6}/\d{2,4})[ \t.]*$",
    )
)
# Decisions of lower courts in the same case, which German courts list at the end.
_BELOW_LINE = LAW.compile(
    rf"(?m)^(?:[A-Z]\w*|[A-Z]\w+ [\w()/ .-]{{2,40}}),? (?:Entscheidung|Urteil|Beschluss) vom \d{{1,2}}\.\d{{1,2}}\.\d{{4}} - ({FILE_NUMBER_DE})"
)
_HEAD = 3000
# After a Chinese number that is cited: the kind of decision, or the next number of a list.
_OF_ANOTHER = re.compile(r"\s?(?:[、,，]\s?[(〔\[]|(?:民事|刑事|行政|执行)?(?:判决|裁定|决定|调解)|等?一?案)")
_ACT = re.compile(
    r"\b(?:Regulation|Directive|Decision|Law|Act|Decree|Protocol|Convention|Ordinance|Circular|VO|RL|VERORDNUNG|RICHTLINIE)s?\b|"
    r"(?i:\b(?:règlement|reglamento|regolament|regulament|verord|rozporządz|direct|dirett|diretiv|richtlij|richtlin|dyrektyw|"
    r"lois?\b|leye?s?\b|leis?\b|legg[ei]\b|d[eé]cret|ordonnance|ustaw|zakon|rahmenbeschl|uredb|wet\b|portaria|resolução)|"
    r"\b(?:d\. ?l(?:gs)?\.|d\. ?p\. ?r\.|d\. ?m\.|l\. ?n\.))"
)
# Spain and Italy cite a decision by the court's abbreviation, which belongs to no number of the own case.
_CITED = re.compile(
    r"\b(?:relied on|[Ss]ee|[Ff]ollowing|[Aa]pplying|(?:held|decided|decision) in|S?STS|S?STC|ATS|ATC|SAP|SAN|STSJ|STJUE|STEDH|Cass|Cons\. ?St|C\. ?cost|Corte cost|VfSlg|VwSlg|BGE|BGer)\b"
)


_BRAZILIAN = SHARED.compile(NUMBER_CNJ)

_SHAPES = (
    _BRAZILIAN,
    _FEDERAL,
    _GERMAN,
    _CHINESE,
    _TAIWAN,
    _HONG_KONG,
    _PLAIN_ZH,
    _UK_CLAIM,
    _EU_DOMESTIC,
    _YEAR_SLASH,
    _ECHR,
    _COURT_FILE,
)
_FEWEST_DIGITS = 3
# A label that opens its line, or nearly so, belongs to a caption; within a sentence the number may be anybody's.
_MOST_BEFORE_LABEL = 30


class LexveilCaseNumberRecognizer(RuleRecognizer):
    """Case and docket numbers of all countries, by a label before them or by their form."""

    NAME = "CaseNumberRecognizer"
    TYPES = ("CASE_NUMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the case numbers in `text`, those of cited cases included."""
        for pattern in (_LABELED, _NO, _BRACKETED_NO):
            for match in pattern.finditer(text):
                if _has_digits(match.group(1)):
                    yield Finding(match.start(1), match.end(1), "CASE_NUMBER", LABELED)
        yield from find_matches(text, "CASE_NUMBER", LABELED, _LABELED_DE, _LABELED_FR, group=1)
        yield from find_matches(text, "CASE_NUMBER", SHAPED, *_SHAPES)


def find_own_numbers(text: str) -> frozenset[str]:
    """Return the numbers of the case that `text` (normalized) is about.

    These stand at the head of the text, where no citation follows them. No other case has such a number, so
    each of its mentions is masked, even one that looks like a citation.
    """
    head = text[:_HEAD]
    numbers = {
        *_own_applications(text),
        *_first_of_each_shape(head),
        *(number for p in _OWN_AT_HEAD for match in p.finditer(head) for number in match.groups() if number),
        *_labeled_in_caption(head),
    }
    if "orinstanz" in text or "Entscheidung vom" in text:
        numbers.update(match.group(1) for match in _BELOW_LINE.finditer(text))
    return frozenset(numbers)


def _own_applications(text: str) -> Iterator[str]:
    for match in _OWN_APPLICATIONS.finditer(text):
        yield from _ITEM.findall(match.group(1) or match.group(2))


def _first_of_each_shape(head: str) -> Iterator[str]:
    for pattern in (_BRAZILIAN, _FEDERAL, _CHINESE, _TAIWAN, _HONG_KONG, _COURT_FILE):
        own = (
            match.group()
            for match in pattern.finditer(head)
            if not _OF_ANOTHER.match(head, match.end())
            and not _ACT.search(head, max(0, match.start() - 45), match.start())
            and not _CITED.search(head, max(0, match.start() - 60), match.end())
        )
        yield from islice(own, 1)


def _labeled_in_caption(head: str) -> Iterator[str]:
    for pattern in (_LABELED, _LABELED_DE, _LABELED_FR):
        for match in pattern.finditer(head):
            line = head[head.rfind("\n", 0, match.start()) + 1 : match.start()]
            in_caption = len(line.strip(" \t(")) <= _MOST_BEFORE_LABEL and not _ACT.search(line)
            if in_caption and _has_digits(match.group(1)):
                yield match.group(1)


def _has_digits(number: str) -> bool:
    return sum(map(str.isdigit, number)) >= _FEWEST_DIGITS
