# ruff: noqa: E501  -- patterns read best on one line
"""Case and docket numbers. `lexveil.nlp.citations` says which of them are law rather than this case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from lexveil.nlp.citations.continental import FILE_NUMBER_DE
from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import LABELED, SHAPED, Finding, RuleRecognizer

_NUMBER = r"(?=[\w:./-]*\d)[A-Z0-9](?:[\w:./-]|\(\w{1,6}\))*(?<![:./-])"
_FEDERAL = re.compile(
    r"(?<![\w-])(?:\d{1,2}:)?\d{2,4}-(?:[A-Za-z]{2,4}|MJ|CV|CR)-\d{2,7}(?:-[A-Z][A-Za-z]{0,5}){0,3}(?:\([A-Z]{1,4}\))?(?![\w])"
)
_LABELLED = re.compile(
    r"(?i:\b(?:case|docket|actions?|cause|index|appeal|petition|suit|claim|file|matter|application|complaint|"
    r"indictment|proceedings?|reference|ref|warrant|incident|report|Aktenzeichen|Geschäftszeichen|Az|Gz|decision|judgment|record|order|invoice|A\.?T\.?|L\.?R\.?|W\.?P\.?|O\.?A\.?|S\.?L\.?P\.?)"
    r"s?\.?,? ?(?:\([A-Za-z. ]{1,8}\)\.? ?)?(?:(?:file|case|docket|reference|ref|report|registration|entry)\.? )?\(?(?:nos?\b\.?|numbers?\b|nr\b\.?|id\b|#|:)(?: is| was)?:?\s*)"
    rf"((?:{_NUMBER})(?: (?:of|OF) (?:19|20)\d\d)?(?:(?:, | and |, and | & ){_NUMBER})*)"
)
_LABELLED_DE = re.compile(
    rf"\b(?:Aktenzeichen|Geschäftszeichen|Az\.?|Gz\.?|AZ|GZ|GeschNr\.?|Geschäftsnummer)[: ]{{1,3}}({FILE_NUMBER_DE}|[\w.-]{{2,12}}(?: [\w()]{{1,6}}){{0,3}} \d{{1,6}}/\d{{2,4}})"
)
_LABELLED_FR = re.compile(
    r"(?i:\b(?:pourvoi|RG|rôle(?: général)?|minute|portalis|parquet|dossier|requête|affaire|arrêt|jugement|n°(?: de| du)?(?: pourvoi| RG| rôle| dossier| parquet| minute| portalis)?)[ :]{0,2}(?:n[°ºo]s?)?[ .:]{0,3})"
    r"(?<![a-z])((?:[A-Z]{1,2} )?\d{2}[-/.]\d{2}[.-]\d{3}|\d{2}/\d{4,6}|[A-Z0-9]{2,6}(?:-[A-Z0-9]{1,6}){2,6}|\d{8,14})(?!\w)"
)
_NO = re.compile(
    r"\b[Nn]os?\. ?((?:[A-Z]{0,4}[ -]?)?\d{1,6}(?:[/-](?:[A-Z]{1,4}[/-])?\d{1,6})+(?:-[A-Z]{1,4})?"
    r"(?:(?:, | and |, and )\d{1,6}[/-]\d{2,6})*)"
)
_ECHR = re.compile(r"(?<![\w/.,-])\d{2,6}/\d{2}(?![\w/]|[.,]\d)")
_BRACKETED_NO = re.compile(r"\((?:no|nos)\. (\d{1,6}/\d{2,4}(?:(?:, | and )\d{1,6}/\d{2,4})*)\)")
_COURT_FILE = re.compile(
    r"(?<![\w/-])(?:[A-Z]{2,4} ?\d{1,6} (?:of|OF) (?:19|20)\d{2}|[A-Z]{1,4}/\d{1,6}/(?:19|20)\d{2}|\d{2,4}-\d{2,7}-[A-Z]{2,4}|\d{3,7}/(?:19|20)\d{2}|\d{2}/\d{3,6}/[A-Z]{1,3})(?![\w/-])"
)
_EU_DOMESTIC = re.compile(
    r"(?<!\w)(?:[EK]\.? ?(?:no\.? ?)?|(?:[A-Z][A-Za-z]{0,4} ){1,2})\d{1,5}/(?:19|20)?\d{2}(?![\w/])"
)
_YEAR_SLASH = re.compile(r"(?<![\w/.,])(?:19|20)\d{2}/\d{1,6}(?:-\d{1,6})?(?![\w/]|[.,]\d)")
_GERMAN = re.compile(
    r"(?<![\w§])(?:\d{1,4}|[IVX]{1,4}) (?:[A-Z][A-Za-z]{0,4}|[a-z]|ZR|StR|ZB|BvR|AZR|[A-Z]{1,3}s)(?: \([A-Za-z]+\))? "
    r"\d{1,6}/(?:\d{2}|(?:19|20)\d{2})(?:[A-Z])?(?!\w)"
)
_CHINESE = re.compile(
    rf"[(〔\[]\s?\d{{4}}\s?[)〕\]]\s?[{HAN}]{{1,3}}\d{{0,6}}[{HAN}]{{1,6}}(?:第)?\s?\d{{1,7}}(?:[-之]\d{{1,3}})?\s?号(?:之[一二三四五六七八九十]+)?"
)
_PLAIN_ZH = re.compile(
    rf"[{HAN}]{{1,6}}(?:[{HAN}]诉|公诉|起诉|检\S{{0,4}}诉)(?:〔|\[|\()\d{{4}}(?:〕|\]|\))\d{{1,6}}号"
)
_UK_CLAIM = re.compile(
    r"(?<!\w)(?:[A-Z]{2,3}-\d{4}-\d{5,6}|[A-Z]{1,3}\d{2}[A-Z]{1,2}\d{4,6}|[A-Z]\d{2}[A-Z]{2}\d{3})(?!\w)"
)
# Where a document says its own number: at its head, or in the sentence about where the case came from.
_OWN_APPLICATIONS = re.compile(
    r"(?i:originated in (?:an|\w+) applications? |joined applications )\((?i:nos?)\. ([^)]{3,200})\)|"
    r"(?:^|\n)[ \t]*\(?(?:Applications?|APPLICATIONS?) [Nn][Oo][Ss]?\. ([^)\n]{3,200})"
)
_ITEM = re.compile(r"\d{1,6}/\d{2,4}")
# On a line of its own, or behind a word that says whose it is.
_OWN_AT_HEAD = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?m)^[ \t(]*[Nn][Oo][Ss]?\.? ([A-Z]{0,3}-?\d[\w:-]*\d)[ \t)]*$",
        r"(?m)^[ \t(]*(?:In )?(?:Joined )?Cases? ([CTF]-\d{1,4}/\d{2}(?: P)?)(?:(?:,| and| to|, and) ([CTF]-\d{1,4}/\d{2}(?: P)?))*[ \t,)]*$",
        r"(?i:\b(?:neutral )?citation(?: number)?):? ?(?:[^\n\[]{0,90}?)(\[\d{4}\] [A-Z]{2,8}(?: (?:Civ|Crim|Admin))? \d+(?: \(\w+\))?|(?:19|20)\d\d [A-Z]{2,6} \d{1,6})",
        r"(?m)^[^\n]{3,90} v\.? [^\n]{2,90}? (\[\d{4}\] [A-Z]{2,8} \d+)[ \t]*$",
        r"(?m)^[ \t]*ECLI:? ?(ECLI:[A-Z]{2}:[A-Za-z0-9]+:\d{4}:[A-Za-z0-9.]*[A-Za-z0-9])",
        rf"(?m)^[ \t-]*({FILE_NUMBER_DE})[ \t-]*$",
    )
)
# The decisions below in this very case, as German courts list them at the end.
_BELOW_LINE = re.compile(
    rf"(?m)^(?:[A-Z]\w*|[A-Z]\w+ [\w()/ .-]{{2,40}}),? (?:Entscheidung|Urteil|Beschluss) vom \d{{1,2}}\.\d{{1,2}}\.\d{{4}} - ({FILE_NUMBER_DE})"
)
_HEAD = 3000
# What follows a Chinese number that is cited: the kind of decision, or the next number of a row.
_OF_ANOTHER = re.compile(r"\s?(?:[、,，]\s?[(〔\[]|(?:民事|刑事|行政|执行)?(?:判决|裁定|决定|调解)|等?一?案)")
_ACT = re.compile(
    r"\b(?:Regulation|Directive|Decision|Law|Act|Decree|Protocol|Convention|Ordinance|Circular)s?\b"
)


class LexveilCaseNumberRecognizer(RuleRecognizer):
    NAME = "CaseNumberRecognizer"
    TYPES = ("CASE_NUMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        for pattern in (_LABELLED, _NO, _BRACKETED_NO):
            for match in pattern.finditer(text):
                if sum(c.isdigit() for c in match.group(1)) >= 3:
                    yield Finding(match.start(1), match.end(1), "CASE_NUMBER", LABELED)
        for pattern in (_LABELLED_DE, _LABELLED_FR):
            for match in pattern.finditer(text):
                yield Finding(match.start(1), match.end(1), "CASE_NUMBER", LABELED)
        for pattern in _SHAPES:
            for match in pattern.finditer(text):
                yield Finding(match.start(), match.end(), "CASE_NUMBER", SHAPED)


_SHAPES = (_FEDERAL, _GERMAN, _CHINESE, _PLAIN_ZH, _UK_CLAIM, _EU_DOMESTIC, _YEAR_SLASH, _ECHR, _COURT_FILE)


def own_numbers(text: str) -> frozenset[str]:
    """The numbers of the very case a document is about: those at its head that no citation follows.

    `text` is normalised. A cited case with the same number doesn't exist, so these are masked
    wherever they stand, a citation or not.
    """
    found: set[str] = set()
    for match in _OWN_APPLICATIONS.finditer(text):
        found.update(_ITEM.findall(match.group(1) or match.group(2)))
    head = text[:_HEAD]
    for pattern in (_FEDERAL, _CHINESE, _COURT_FILE):
        own = (
            match.group()
            for match in pattern.finditer(head)
            if not _OF_ANOTHER.match(head, match.end())
            and not _ACT.search(head, max(0, match.start() - 25), match.start())
        )
        found.update(islice(own, 1))
    for pattern in _OWN_AT_HEAD:
        for match in pattern.finditer(head):
            found.update(number for number in match.groups() if number)
    for pattern in (_LABELLED, _LABELLED_DE, _LABELLED_FR):
        for match in pattern.finditer(head):
            line = head[head.rfind("\n", 0, match.start()) + 1 : match.start()]
            # On a line of its own, or opening one: a caption. Inside a sentence it may be anybody's.
            if (
                len(line.strip(" \t(")) <= 30
                and not _ACT.search(line)
                and sum(c.isdigit() for c in match.group(1)) >= 3
            ):
                found.add(match.group(1))
    if "orinstanz" in text or "Entscheidung vom" in text:
        found.update(match.group(1) for match in _BELOW_LINE.finditer(text))
    return frozenset(found)
