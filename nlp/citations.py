# ruff: noqa: E501  -- patterns read best on one line
"""What is law and must stay readable: citations of cases, statutes and treaties.

A citation is read before anything is masked; the parties' names inside a cited case's name are law,
not personal information. The number of the very case a document is about is another matter: see
`nlp.recognizers.case_number.own_numbers`.
"""

from __future__ import annotations

import logging
import re

from nlp.recognizers.base import LOWER, UPPER

# A short span of text goes to eyecite: it needs 0.1 s for 1,000 characters dense with citations.
_WINDOW_BEFORE = 240
_WINDOW_AFTER = 160
_WINDOW_MAX = 4000

_REPORTER = re.compile(
    r"\b\d{1,4}\s+(?:U\. ?S\.|S\. ?Ct\.|L\. ?Ed\.|F\.|F\. ?Supp\.?|Fed\.|B\.R\.|[A-Z][\w']*\.(?: ?[A-Z\d][\w']*\.?){0,4}|WL|LEXIS|"
    r"US|F ?Supp|F[234]d|AD[23]d|NY[23]d|NE[23]d|S ?Ct)(?: ?[234]d| ?4th| ?5th)?,?\s+(?:at )?\d{1,7}\b"
    r"|\b\d{4} (?:WL|U\.S\. (?:Dist\. |App\. )?LEXIS) \d+"
)

_PARTY_WORD = rf"(?:[{UPPER}][\w.'&-]*|\([\w .]+\)|&)"
_JOIN = r"(?:and|of|the|de|van|von|der|den|del|la|le|et|al\.?|ex|rel\.|in|for|da|di|du|&|y|e|v|Others|others|Another|another)"
_PARTY = rf"{_PARTY_WORD}(?:,? (?:{_JOIN} ){{0,3}}{_PARTY_WORD}| {_JOIN}){{0,9}}"
_CASE_NAME = rf"{_PARTY} v\.? (?:the )?{_PARTY}"
_ECHR_NUMBER = r"\d{1,6}/\d{2,4}"
_ECHR_TAIL = (
    rf"(?:,? ?\((?:dec|just satisfaction|merits|preliminary objections?|revision|striking out|friendly settlement)[^)]*\))*(?: ?\[GC\])?(?: ?\(dec\.\))*"
    rf"(?:,? ?(?:judgment|decision|judgments) of \d{{1,2}} \w+ \d{{4}}| ?\((?:judgment|decision) of [^)]{{6,40}}\)"
    rf"|,? ?(?:application )?nos?\. ?{_ECHR_NUMBER}(?:(?:, | and |, and |-){_ECHR_NUMBER})*(?:,? and \d+ others?)?"
    rf"|,? cited above|,? Series A no\. \d+(?:-[A-Z])?|,? ECHR \d{{4}}-?[IVX]*(?: \(extracts\))?|,? Reports(?: of Judgments and Decisions)? \d{{4}}-[IVX]+"
    rf"|,? \[(?:1[89]|20)\d\d\]|,? \((?:1[89]|20)\d\d\) \d|,? \d{{1,4}} [A-Z][\w.]+ )"
)
_PINPOINT = (
    rf"(?:,? ?(?:\(dec\.\)|\[GC\]|(?:application )?nos?\. ?{_ECHR_NUMBER}(?:(?:, | and |, and ){_ECHR_NUMBER})*|§§? ?\d+(?:(?: ?- ?|, | and |, and )(?:§§? ?)?\d+(?! [A-Z]|/))*"
    rf"|(?:judgment|decision) of \d{{1,2}} \w+ \d{{4}}|\d{{1,2}} (?:January|February|March|April|May|June|July|August|September|October|November|December) \d{{4}}"
    rf"|ECHR \d{{4}}-?[IVX]*|Series A no\. \d+(?:-[A-Z])?|p{{1,2}}\. ?\d+(?:-\d+)?|Reports(?: of Judgments and Decisions)? \d{{4}}-[IVX]+|cited above))*"
)
_CITED_CASE = re.compile(rf"{_CASE_NAME}{_ECHR_TAIL}{_PINPOINT}")
_SHORT_CITED = re.compile(rf"{_PARTY}(?: \[GC\])?,? cited above{_PINPOINT}")

_GERMAN_COURT = r"(?:BGH|BVerfG|BVerwG|BAG|BSG|BFH|EuGH|EuG|EGMR|BayObLG|KG|(?:OLG|LG|AG|VG|OVG|VGH|LAG|ArbG|SG|LSG|FG) [A-ZÄÖÜ][\w/-]+(?: [A-Z][\w.]+)?)"
_GERMAN_DECISION = re.compile(
    rf"\b{_GERMAN_COURT}[,:]? ?(?:\(?(?:Urteil|Beschluss|Beschl\.|Urt\.|Teilurteil|Versäumnisurteil|U\.|B\.)\)? ?(?:v\.|vom)?)? ?(?:v\. |vom )?"
    rf"\d{{1,2}}\.\s?(?:\d{{1,2}}\.|\w+)\s?\d{{2,4}},?(?: ?-+)? ?(?:Az\.:? ?)?[\w ]{{1,14}}? ?\d{{1,6}}/\d{{2,4}}"
    rf"(?:, (?:NJW|BGHZ|NZA|NVwZ|BeckRS|GRUR|WM|ZIP|juris|MDR)[-\w, ]{{0,30}}?\d+)?"
)
_SIMPLE = tuple(
    re.compile(pattern)
    for pattern in (
        r"\bECLI:[A-Z]{2}:[A-Za-z0-9]+:\d{4}:[A-Za-z0-9.]*[A-Za-z0-9]",
        r"\bEU:[CTF]:\d{4}:\d+",
        r"\b(?:Joined )?[Cc]ases? [CTF]-\d{1,4}/\d{2}(?: P)?(?:(?:,| and| to) [CTF]-\d{1,4}/\d{2}(?: P)?)*(?:,? [^\n,.;]{3,60} v [^\n,.;]{3,60})?",
        # The neutral citation, with the name before it where there is one.
        rf"(?:{_CASE_NAME},? )?\[\d{{4}}\] (?:UKHL|UKSC|UKPC|EWCA|EWHC|EWCOP|EWFC|UKUT|UKFTT|UKEAT|EAT|CSIH|CSOH|NICA|IEHC|IESC|HCA|FCA|"
        r"NSWSC|VSC|SCC|ONCA|BCCA|ABCA|NZSC|NZCA|SGCA|SGHC|HKCFA|ZACC|[A-Z]{2,6}) (?:Civ |Crim |Admin )?\d+(?: \([A-Z][a-z]+\))?(?:,? at \[?\d+\]?| \[\d+\])?",
        rf"(?:{_CASE_NAME},? )?[\[(]\d{{4}}[\])] (?:\d{{1,3}} )?(?:AC|QB|KB|Ch|WLR|All ER|EHRR|CMLR|ECR|Cr App R|Lloyd's Rep|BCLC|FLR|IRLR|ICR|SCR|CLR)(?: I-)? ?\d+",
        r"\b(?:BGHZ|BGHSt|BVerfGE|BVerwGE|BAGE|BSGE|NJW(?:-RR)?|NZA|NVwZ|GRUR) \d{1,4}, ?\d+(?:, ?\d+)?",
        rf"§§? ?\d+[a-z]?(?:(?:,| und| bis| i\.V\.m\.)? ?(?:Abs\.|Absatz|Satz|S\.|Nr\.|Alt\.|Halbs\.|§§?)? ?\d+[a-z]?)*(?: ff?\.)? [{UPPER}][{LOWER}{UPPER}]*[{UPPER}]\w*\b",
        rf"\bArt(?:\.|ikel) ?\d+[a-z]?(?: (?:Abs|S|Satz|Nr|lit)\.? ?\w+)* [{UPPER}]{{2,}}\w*\b",
        r"\b\d{1,2} U\. ?S\. ?C\.(?: ?A\.)?(?: ?(?:§§?|[Ss]ec(?:tion|\.)?))? ?\d[\w.-]*(?:\([\w]+\))*",
        r"\b\d{1,2} C\. ?F\. ?R\.(?: ?(?:§§?|[Pp]art|pt\.))? ?\d[\w.-]*(?:\([\w]+\))*",
        r"\bFed\. ?R\. ?(?:Civ|Crim|Evid|App|Bankr)\. ?(?:P\. ?)?\d+(?:\([\w]+\))*",
        r"\b(?:Pub\. L\.|Public Law)(?: No\.)? \d{2,3}-\d{1,4}|\b\d{1,3} Stat\. \d{1,5}|\b\d{1,3} Fed\. Reg\. [\d,]+",
        rf"\b(?:Cal|Tex|Fla|Del|N\.Y|Ill|Mass|Ohio|Wash|Va|Ga|Pa|N\.J|Mich|Minn|Nev|Ariz|Colo)\.(?: ?[{UPPER}&][\w.&']*){{1,5}} ?§§? ?[\d.-]+(?:\([\w]+\))*",
        r"\b[Aa]rt(?:icles?|s?\.) ?\d+[a-z]?(?:(?:,| and| or|-| to)? ?(?:§§? ?)?\d+(?: ?\([a-z0-9]+\))*)*(?: of (?:the )?(?:Convention|Protocol No\. ?\d+|Constitution|Treaty|GDPR|TFEU|TEU|"
        r"(?:Civil|Criminal|Penal|Labour|Family|Commercial)(?: Procedure)? Code|Code of (?:Civil|Criminal|Administrative) Procedure|Law no\. ?\d+(?:/\d+)?))",
        rf"\b(?:[{UPPER}][\w'&-]+ |\([\w ]+\) |and |of |the |to ){{0,9}}(?:Act|Code|Ordinance|Regulations?|Rules|Directive|Convention|Protocol|Order)(?: \([\w. ]+\))? ?(?:of )?(?:1[789]|20)\d\d\b(?:/\d+(?:/E[CU])?)?(?: \(c\. ?\d+\))?",
        r"\b(?:Law|Act|Decree|Directive|Regulation|Legislative Decree|Presidential Decree)s? (?:\((?:EU|EC|EEC)\) )?(?:no|No|nos|Nos)?\.? ?\d{1,5}(?:/\d{2,4})(?:/E[CU]C?)?",
        r"\b(?:Law|Act|Decree|Legislative Decree)s? [nN]o\.? ?\d{1,5}\b",
        r"《[^》\n]{2,60}》(?:\([^()\n]{2,20}\))?(?:第[〇零一二三四五六七八九十百千\d]+[条款项编章节](?:之[一二三四五六七八九十]+)?(?:第?[(〇零一二三四五六七八九十百千\d)]+[款项])*[、,和及]?)+",
        r"《[^》\n]{1,60}(?:法|条例|规定|解释|办法|决定|意见|通知|细则|规则|法典|批复|宪法|公约|纪要|标准|规范|制度|修正案)(?:\([^)\n]{1,20}\))?》",
        r"第[一二三四五六七八九十百千零〇\d]+条(?:之[一二三四五六七八九十]+)?(?:第[一二三四五六七八九十(]+[)款项]+)*",
        r"法释[〔(\[]\d{4}[〕)\]]\d+号",
    )
)


def citations(text: str) -> list[tuple[int, int]]:
    """Ranges [start, end) of `text` (normalised) that no span may touch: sorted, merged."""
    ranges = [match.span() for pattern in (*_SIMPLE, _GERMAN_DECISION) for match in pattern.finditer(text)]
    if " v" in text or "cited above" in text:
        for start, end in _around(text, re.compile(r" v\.? |cited above"), 120, 260):
            for pattern in (_CITED_CASE, _SHORT_CITED):
                ranges += [match.span() for match in pattern.finditer(text, start, end)]
    ranges += _eyecite_ranges(text)
    return _merged(ranges)


def _eyecite_ranges(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in _around(text, _REPORTER, _WINDOW_BEFORE, _WINDOW_AFTER):
        from eyecite import get_citations
        from eyecite.models import CaseCitation, FullLawCitation

        # eyecite writes the text of what it can't settle to its log.
        logging.getLogger("eyecite").setLevel(logging.CRITICAL + 1)
        window = text[start:end]
        for citation in get_citations(window):
            if isinstance(citation, CaseCitation | FullLawCitation):
                first, last = citation.full_span()
                pin_first, pin_last = citation.span_with_pincite()
                first, last = min(first, pin_first), max(last, pin_last)
                # A name can't reach over a paragraph.
                paragraph = window.rfind("\n\n", first, citation.span()[0])
                first = paragraph + 2 if paragraph >= 0 else first
                found.append((start + first, start + last))
    return found


def _around(text: str, pattern: re.Pattern[str], before: int, after: int) -> list[tuple[int, int]]:
    """Windows about the pattern's hits, merged where they touch, cut where they grow too long."""
    windows: list[tuple[int, int]] = []
    for match in pattern.finditer(text):
        start, end = max(0, match.start() - before), min(len(text), match.end() + after)
        if windows and start <= windows[-1][1] and end - windows[-1][0] <= _WINDOW_MAX:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return merged
