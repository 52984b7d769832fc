# ruff: noqa: E501  -- patterns read best on one line
"""Citations of cases in the form "X v. Y": the name, and the report that makes it a citation.

A name without a report is a citation only where the text says so ("see Vane v. Turkey"), or where the case was
cited before. Otherwise it may be the name of the case that the document is itself about.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import cache

from lexveil.nlp.citations.names import VERSUS, CaseName, find_case_names, find_name_start
from lexveil.nlp.citations.rule import LAW, Range, find_ranges, make_rule
from lexveil.nlp.letters import UPPER

_DAY = r"(?:\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December) \d{4})"
_APPLICATIONS = r"(?:application )?nos?\. ?\d{1,6}/\d{2,4}(?:(?:, |,? and |, and |-)(?:no\. ?)?\d{1,6}/\d{2,4})*(?:,? and \d+ others?)?"
_PAGES = r"\d{1,5}(?:[-,] ?\d{1,5}(?![\d/]| ?[A-Z]))*"
_UK = r"UKHL|UKSC|UKPC|EWCA|EWHC|EWCOP|EWFC|EWCC|UKUT|UKFTT|UKEAT|EAT|UKAITUR|UKSIAC|UKIPTrib|CSIH|CSOH|HCJAC|HCJ|ScotCS|NICA|NIQB|NIKB|NICh|NICty|NIFam|IEHC|IECA|IESC|JCA|JRC|GCA|DIFC|CAT"
_AUSTRALIA = r"HCATrans|HCASL|HCA|FCAFC|FCA|FedCFamC\dA|FCCA|FamCAFC|FamCA|NSWCCA|NSWCA|NSWSC|NSWDC|NSWLEC|NSWCATAD|VSCA|VSC|VCAT|VCC|QCA|QSC|QDC|QCAT|WASCA|WASC|WADC|SASCFC|SASCA|SASC|SADC|TASSC|TASFC|TASCCA|ACTCA|ACTSC|NTCA|NTSC|AATA|FWCFB|FWC"
_OTHERS = r"NZSC|NZCA|NZHC|NZFC|NZEmpC|SGCA|SGHC|HKCFA|HKCA|HKCFI|HKDC|ZACC|ZASCA|INSC|KESC"
_CANADA = r"SCC|CSC|FCA|CAF|FC|CF|TCC|CCI|ONCA|ONSC|ONCJ|ONSCDC|ONLTB|ONWSIAT|BCCA|BCSC|BCPC|ABCA|ABQB|ABKB|ABPC|ABCJ|SKCA|SKQB|SKKB|MBCA|MBQB|MBKB|QCCA|QCCS|QCCQ|QCTAT|NBCA|NBQB|NBKB|NSCA|NSSC|PECA|PESC|NLCA|NLSC|NLTD|YKCA|YKSC|NWTCA|NWTSC|NUCA|NUCJ|CHRT|TCDP|HRTO|CMAC|CACM|CanLII|CarswellOnt|CarswellNat|OJ No|INSC"
_REPORTS = (
    r"AC|QB|KB|Ch|Fam|P|WLR|All ER(?: \((?:Comm|EC)\))?|EHRR|CMLR|ECR|Cr ?App ?R(?: ?\(S\))?|Lloyd's Rep|BCLC|BCC|FLR|FCR|IRLR|ICR|CLR|ALR|ALJR|NSWLR|VR|Qd R|SASR|WAR|FCR|A Crim R|FLC|"
    r"S\.C\.R\.|A\.C\.|Q\.B\.|K\.B\.|W\.L\.R\.|All E\.R\.|D\.L\.R\.|O\.R\.|C\.L\.R\.|A\.L\.R\.|S\.C\.C\.|E\.H\.R\.R\.|C\.M\.L\.R\.|E\.C\.R\.|W\.W\.R\.|C\.C\.C\.|F\.C\.|"
    r"SCR|RCS|DLR|OR|WWR|CCC|CR|BCLR|Alta LR|NZLR|SLR|HKCFAR|IR|ILRM|SC|SLT|SCLR|PLC|EG|HLR|TC|STC|WTLR|Ll L Rep|TLR|LT|JP|RPC|FSR|EMLR|UKHRR|NWLR|SCNJ|SCNLR|FWLR|LPELR|KLR|eKLR|ZLR|BLR|GLR|LRC|CLJ|HKLRD|HKLR|HKC|NZAR|ELR|CCLR|PNLR|EGLR|EGCS|JPL|AACR|Imm AR|INLR|Env LR|Con LR|P & CR|B & S|E & B|M & W|B & C|B & Ad|De GM & G|De G & J|Ph|Burr|Beav|Ves|Ves Jr|Atk|Vern|Hare|Moo|Bing|Exch|Macq|Co Rep|Salk|Cowp|Wils|Swan|Mer|K & J|J & H|App Cas|QBD|KBD|ChD|PD|ER|"
    r"SCC(?: \((?:Cri|Civ|L&S)\))?|SCJ|Scale|SCALE|JT|Bom LR|Cri ?LJ|DLT|MLJ|ILR|ITR|STR|ELT|Comp Cas|SCW|KLT|CTC|ACJ|UC|LIC|SLR|SCALE"
)
_SERIES = r"(?: \((?:\dd|\dth|\dnd|\drd|Ser)\)| ?\dd| ?\dth)?"
# What makes a name a citation: application numbers, years with courts, volumes with reports.
_CORE = (
    rf"(?:{_APPLICATIONS}|\[GC\]|\((?:dec|just satisfaction|merits|preliminary objections?|revision|striking out|friendly settlement)[^()\n]{{0,40}}\)"
    rf"|(?:judgments?|decision|Commission decision|Commission's report) of {_DAY}|{_DAY}|Series [AB],? no\. ?\d+(?:-[A-Z])?|ECHR \d{{4}}-?[IVX]*(?: \(extracts\))?|Reports(?: of Judgments and Decisions)? \d{{4}}-[IVX]+"
    rf"|Decisions and Reports(?: \(DR\))? \d+|\bDR \d+|EU:[CTF]:\d{{4}}:\d+|ECLI:[A-Z]{{2}}:\w+:\d{{4}}:[\w.]*\w"
    rf"|[\[(]\d{{4}}[\])] (?:{_UK}|{_AUSTRALIA}|{_OTHERS}|[A-Z]{{2,7}})(?: (?:Civ|Crim|Admin|Ch|Comm|Fam|Pat|QB|KB|TCC|IPEC))? \d{{1,5}}(?: \([A-Z][A-Za-z&]*\))?"
    rf"|(?:19|20)\d{{2}} (?:{_CANADA})(?: \([A-Z]{{2,4}}\))? (?:No )?\d{{1,7}}(?: \([A-Z][A-Za-z ]{{1,12}}\))?"
    rf"|[\[(]\d{{4}}(?:[-/]\d{{2,4}})?[\])],? (?:(?:Supp\.? ?)?\(?\d{{1,4}}\)? )?(?:{_REPORTS}){_SERIES},?(?: I{{1,3}}-| Div Ct| \(Pt\.? ?\d{{1,4}}\))? ?\d{{1,5}}(?:-\d{{1,4}})?(?: \([A-Z][A-Za-z ]{{0,8}}\))?"
    rf"|AIR \d{{4}} (?:SC|[A-Z][A-Za-z]+(?: [A-Z][a-z]+)?) \d{{1,5}}|\d{{4}} (?:Supp )?\(\d{{1,2}}\) (?:SCC|SCR|SCALE|JT) \d{{1,5}}|\d{{4}} \(\d{{1,2}}\) (?:SA|SACR|BCLR|BLLR) \d{{1,5}} ?\([A-Z]{{1,4}}\)|\d{{4}} SCC OnLine [A-Z][A-Za-z&]* \d{{1,5}}|\d{{4}} ?INSC ?\d{{1,5}}|\d{{4}}:[A-Z]{{2,6}}:\d{{1,6}}(?:-DB)?|MANU/[A-Z]{{2}}/\d{{4}}/\d{{4}}|JT \d{{4}} ?\(\d+\) SC \d+"
    r"|\d{1,4} (?:CLR|ALR|ALJR|NSWLR|DLR|OR|CCC|SCR|WWR|BCLR|HKCFAR|EHRR|ER)(?: ?\(\d\w{1,2}\))? \d{1,5}"
    r"|(?:Joined )?(?:Cases? )?[CTF] ?-\d{1,4}/\d{2}(?: ?(?:P|PPU|RX))*(?:(?:,| and| to|, and) [CTF]-\d{1,4}/\d{2}(?: P)?)*|cited above)"
)
_CAPITALIZED = rf"[{UPPER}][\w/&'-]*"
_PIN = rf"(?:§§? ?\d+(?:(?:-|, ?|,? and )(?:§§? ?)?\d+\b(?! [A-Z]|/))*|(?:at )?(?:paras?\.?|\[|pp?\.? ?|paragraphs?) ?\d+\]?(?:(?:[-,]| and | to ) ?\[?\d+\]?)*|at {_PAGES}|in fine|cited above|ibid\.?|per [A-Z]\w+ (?:L?JJ?|CJ|MR|P|LC|JSC|LJJ)\b)"
# A volume before an old report: "9 Ex. 341 (1854)".
_OLD_REPORT = (
    r"\d{1,4} [A-Z][A-Za-z]{0,6}\.?(?: ?[&A-Z][A-Za-z]{0,6}\.?){0,3} \d{1,5},? \((?:[A-Z][\w.]* ){0,3}\d{4}\)"
)
_TAIL = re.compile(
    rf",?(?: judgments?| decision| case)? ?\({{0,2}},?(?:(?:in |of )?{_CORE}|{_OLD_REPORT}|of {_DAY})\)?(?:[,;]? ?\(?(?:{_CORE}|{_PIN})\)?)*"
)
# The name of a case of the Court of Justice after its number: "C-251/95 - Sabèl/Puma".
_NAMED_EU = rf",? (?:- )?(?!(?:Mr|Mrs|Ms|Dr|Sir|Herrn?|Frau|Mme|The|In|It|On|At|By)\b){_CAPITALIZED}(?:(?: |, )(?:{_CAPITALIZED}|v|and|und|et|of|de|van|&)){{0,5}}(?<=\w)(?!\w)"
_ALONE = tuple(
    make_rule(pattern, *needs)
    for pattern, *needs in (
        # The country guidance of the tribunals for asylum: "MA (Draft evaders; risk) Eritrea CG [2007] UKAIT 00059".
        (
            rf"(?<!\w)[{UPPER}]{{1,3}}(?:(?:,| and| &) (?:[{UPPER}]{{1,3}}|Others|Ors|another))* \([^()\n]{{3,200}}\)(?: \([^()\n]{{3,40}}\))?(?: (?:[{UPPER}][\w'-]+|of|and|the)){{1,5}},? (?:CG )?\[\d{{4}}\] (?:UKAIT|UKIAT|UKUT) \d{{1,5}}(?: \(IAC\))?",
            "UKAIT",
            "UKIAT",
            "UKUT",
        ),
        (
            rf"[\[(]\d{{4}}[\])] (?:{_UK}|{_AUSTRALIA}|{_OTHERS})(?: (?:Civ|Crim|Admin|Ch|Comm|Fam|Pat|QB|KB|TCC|IPEC))? \d{{1,5}}(?: \([A-Z][A-Za-z&]*\))?(?:,? (?:at )?\[\d+\](?:-\[\d+\])?)?",
            "[",
            "(",
        ),
        (
            rf"(?<![\w/])(?:19|20)\d{{2}} (?:{_CANADA})(?: \([A-Z]{{2,4}}\))? (?:No )?\d{{1,7}}(?: \([A-Z][A-Za-z ]{{1,12}}\))?(?: at (?:paras? )?\d+)?",
            *(f" {court} " for court in re.sub(r"\w+ No", "", _CANADA).split("|") if court),
        ),
        (
            rf"\[\d{{4}}\] (?:\d{{1,3}} )?(?:{_REPORTS}){_SERIES}(?: I{{1,3}}-)? ?\d{{1,5}}|\(\d{{4}}(?:[-/]\d{{2,4}})?\) \d{{1,3}} (?:{_REPORTS}){_SERIES} \d{{1,5}}",
            "[",
            "(",
        ),
        (
            r"\bAIR \d{4} (?:SC|[A-Z][A-Za-z]+) \d{1,5}|\b\d{4} (?:Supp )?\(\d{1,2}\) (?:SCC|SCR|SCALE|JT) \d{1,5}|\b\d{4} SCC OnLine [A-Z]\w* \d{1,5}|\b\d{4} ?INSC ?\d{1,5}|\bMANU/[A-Z]{2}/\d{4}/\d{4}|\b\d{4}:[A-Z]{2,6}:\d{1,6}(?:-DB)?",
            "AIR ",
            "SCC",
            "SCR",
            "SCALE",
            "INSC",
            "MANU/",
            "JT ",
            "HC:",
        ),
        (
            r"\b(?:Joined )?[Cc]ases? [CTF] ?-\d{1,4}/\d{2}(?: P)?(?:(?:,| and| to|, and) [CTF]-\d{1,4}/\d{2}(?: P)?)*(?:,? [A-Z][^\n;()]{2,80}? EU:[CTF]:\d{4}:\d+)?(?:"
            + _NAMED_EU
            + r")?|(?<![\w/-])[CTF]-\d{1,4}/\d{2}(?: (?:P|PPU))?(?![\w/-])(?:"
            + _NAMED_EU
            + r")?|\bEU:[CTF]:\d{4}:\d+|\bECLI:[A-Z]{2}:[A-Za-z0-9]+:\d{4}:[A-Za-z0-9.]*[A-Za-z0-9]",
            "C-",
            "T-",
            "F-",
            "C -",
            "EU:",
            "ECLI:",
        ),
    )
)
# Openings of a case with one party: "In re Vane, 5 F.3d 12", "Ex parte Roe".
_IN_RE = re.compile(r"\b(?:In re|Ex parte|In the matter of|Re|Estate of|Matter of|Marriage of)(?: the)? $")
_OPENING = re.compile(
    r"\b(?:(?:In re|Ex parte|In the [Mm]atter of|Re|Estate of|Matter of|Marriage of) (?:the )?)+"
)
_RE = LAW.compile(
    rf"\b(?:In re|Re|Ex parte|In the [Mm]atter of) [{UPPER}][\w.'&-]*(?: (?:[{UPPER}][\w.'&-]*|&|and|of|\([^()\n]{{1,40}}\))){{0,6}}(?=,? ?[\[(]?\d)"
)
_CUE = re.compile(
    r"(?i)(?:\b(?:see|cf\.?|compare|following|applied|applying|citing|quoting|distinguish(?:ed|ing)|overrul(?:ed|ing)|per|accord|rule in|decision in|judgment in|held in|case of|principles? in|as in|under|since)"
    r"(?: also)?(?:,? e\.g\.,?)?(?: the)?(?: case of)?,? )$"
)
_CAPTION = re.compile(r"(?i)(?:case of|in the case of|affaire|between:?|in re:?)\s*$|\n\s*$")
_HEAD = 2500
_CITED_ABOVE = LAW.compile(r",? \(?cited above")
_SHORT_FORM = LAW.compile(
    rf"(?<![\w'-])[{UPPER}][\w'-]{{3,40}}(?= (?:judgments?|decision|case|ruling|test|rule|principles?|line of)\b|'s case\b| (?:is|was) (?:in)?distinguishable\b| (?:controls|governs|holds|teaches|requires|compels|forecloses)\b|,? \(?cited above|,? (?:supra|above)\b|,? at \[?\d|,? § ?\d|, \d{{1,4}} [A-Z][\w.' ]{{0,14}}? at \d)"
)
# Before a name that the document has cited as a case: the text refers to the case again.
_SHORT_CUE = LAW.compile(
    rf"(?i:\b(?:under|nothing in|unlike|contrary to|as in|held in|holding in|rule in|court in|decided in|decision in|reasoning in|"
    rf"in|since|following|appl(?:ying|ies)|citing|cites|distinguish(?:ed|es|ing)|overrul(?:ed|es|ing)|follows|invokes|relies on|reliance on)) ([{UPPER}][\w'-]{{3,40}})(?! [{UPPER}])(?!['’]s )"
)
# A case that the document knows by one name alone: "the Bosman ruling".
_DOCTRINE = re.compile(
    r" (?:ruling|doctrine|line of (?:cases|authorit(?:y|ies))|jurisprudence|case[- ]law|principles?|exception|test)\b"
)
_DOCTRINE_OF = re.compile(rf"\b[Tt]he ([{UPPER}][\w'-]{{3,40}})\Z")
_LONGEST_DOCTRINE = 48
# The same in French, Italian and Spanish: "l'arrêt Perruche".
_DOCTRINE_MUL = LAW.compile(
    rf"(?i:\b(?:arrêts?|jurisprudences?|théories?|sentenza|doctrina|jurisprudencia|giurisprudenza)) (?:dite?s? )?\"?((?:[{UPPER}][\w'-]+|[{UPPER}]{{2,}})(?: (?:et|c\.|c/|de|du|des|la)? ?[{UPPER}][\w'-]+){{0,3}})"
)
# A person in this document who happens to have the name of a cited case.
_TITLED = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Sir|Smt|Shri|Sri)\.? (?:[{UPPER}][\w.'-]{{0,40}} ){{0,3}}([{UPPER}][\w'-]{{3,40}})"
)
_SECOND_PARTY = re.compile(rf"\bv\.? ([{UPPER}][\w'-]{{3,40}})")


def find_case_citations(text: str) -> Iterator[Range]:
    """Yield the ranges of cited cases in `text` (normalized), which may overlap."""
    yield from find_ranges(_ALONE, text)
    reported, bare = _split_by_report(text)
    yield from ((name.start, end) for name, end in reported)
    yield from _find_in_re(text)
    us = list(_find_us_cases(text))
    yield from us
    known = {name.short for name, _ in reported} | _short_names(text, us) | _names_after_openings(text, us)
    own = {name.short for name in find_case_names(text[:_HEAD]) if _follows_caption(text, name)}
    yield from ((name.start, name.end) for name in bare if _is_cited(text, name, known, own))
    yield from _find_cited_above(text)
    shorts = {short for short in known - own if len(short) > 3}
    cited = [*((name.start, end) for name, end in reported), *us]
    seconds = {second for range_ in cited for second in _SECOND_PARTY.findall(text[slice(*range_)])}
    yield from _find_short_forms(text, shorts, (shorts | seconds) - own)
    yield from _find_doctrines(text)


def _split_by_report(text: str) -> tuple[list[tuple[CaseName, int]], list[CaseName]]:
    """Return the case names that a report follows, each with the end of the report, and all others."""
    reported: list[tuple[CaseName, int]] = []
    bare: list[CaseName] = []
    for name in find_case_names(text) if VERSUS.search(text) else ():
        tail = _TAIL.match(text, name.end)
        if tail:
            reported.append((name, tail.end()))
        else:
            bare.append(name)
    return reported, bare


def _find_in_re(text: str) -> Iterator[Range]:
    if not any(word in text for word in ("Re ", "re ", "arte ", "atter ")):
        return
    for opening in _RE.finditer(text):
        tail = _TAIL.match(text, opening.end())
        if tail:
            yield opening.start(), tail.end()


def _follows_caption(text: str, name: CaseName) -> bool:
    return _CAPTION.search(text, max(0, name.start - 40), name.start) is not None


def _is_cited(text: str, name: CaseName, known: set[str], own: set[str]) -> bool:
    """Return True if the name of a case is a citation although no report follows it."""
    if not name.short or name.short in own:
        return False
    if name.start < _HEAD and _follows_caption(text, name):
        return False
    return name.short in known or _CUE.search(text, max(0, name.start - 40), name.start) is not None


def _find_cited_above(text: str) -> Iterator[Range]:
    if "cited above" in text:
        for above in _CITED_ABOVE.finditer(text):
            start = find_name_start(text, above.start())
            if start < above.start():
                yield start, above.end()


def _find_short_forms(text: str, shorts: set[str], parties: set[str]) -> Iterator[Range]:
    """Yield mentions of cited cases by one party alone: "the Vane judgment", "Vane, § 44", "under Vane"."""
    if not parties:
        return
    for match in _SHORT_FORM.finditer(text):
        if match.group() in parties:
            yield match.span()
    people = set(_TITLED.findall(text))
    for match in _SHORT_CUE.finditer(text):
        if match.group(1) in shorts - people:
            yield match.span(1)


def _find_doctrines(text: str) -> Iterator[Range]:
    """Yield the names of rulings that the document mentions in no other way: nobody in it is called so."""
    found: dict[str, list[Range]] = {}
    for thing in _DOCTRINE.finditer(text):
        name = _DOCTRINE_OF.search(text, max(0, thing.start() - _LONGEST_DOCTRINE), thing.start())
        if name:
            found.setdefault(name.group(1), []).append((name.start(1), thing.end()))
    for match in _DOCTRINE_MUL.finditer(text):
        found.setdefault(match.group(1), []).append(match.span())
    for name, ranges in found.items():
        if text.count(name) == len(ranges):
            yield from ranges


def _names_after_openings(text: str, ranges: Sequence[Range]) -> set[str]:
    """Return the names of cited cases with one party: "Vane" of "In re Marriage of Vane"."""
    openings = (_OPENING.match(text, start, end) for start, end in ranges)
    names = (_CASE_WORD.match(text, opening.end()) for opening in openings if opening)
    return {name.group() for name in names if name}


def _short_names(text: str, ranges: list[Range]) -> set[str]:
    return {name.short for start, end in ranges for name in find_case_names(text[start:end]) if name.short}


# -- The United States ------------------------------------------------------------------------------

_VOLUME = LAW.compile(
    r"(?<![\w$§./-])\d{1,4} ([A-Z][A-Za-z'.&() ]{0,28}?(?:[.A-Za-z)]|\d(?:d|th|st|nd|rd))\.?),? (?:at )?(?:\d{1,6}\b|_{2,})"
)
# Martin's reports are "Mar.", and decisions are "Dec.".
_DATE = re.compile(
    r"(?:0?[1-9]|[12]\d|3[01]) (?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.? (?:1[6-9]|20)\d\d"
)
_LATE = LAW.compile(
    r"\b\d{4} (?:WL|U\.S\. (?:Dist\. |App\. )?LEXIS|LEXIS|NY Slip Op|IL App \(\d\w{2}\)|[A-Z][a-z]*\.? ?App\.?) \d+"
)
_AFTER = re.compile(
    r"(?:(?:, | & |-|, at |, n\.|, nn\.| n\.)\*?\d{1,6}(?! [A-Z])| & n\.\d+)*(?: ?\((?:(?:[^()\n]{0,60} )?(?:1[6-9]|20)\d{2})(?:, [^()\n]{1,40})?\))?(?: ?\((?:en banc|per curiam|plurality(?: opinion)?|mem\.|[A-Z][a-z]+,? (?:C\.)?J\.,[^()\n]{1,40})\))?"
)
_BACK = 240
# Between a case with one party and its report: a comma, in California the year.
_BEFORE_REPORT = re.compile(r"(?:, | \((?:1[6-9]|20)\d\d\) )\Z")
_CASE_WORD = re.compile(rf"[{UPPER}][\w'-]{{3,40}}")
_MOST_PARSED = 1200


_MAYBE_REPORTER = re.compile(r"[A-Z][\w']*\.(?: ?[A-Z\d][\w']*\.?){0,4}$")
# Text between a case's name and its report: brackets, docket numbers, parallel reports.
_BETWEEN = re.compile(
    r"\.?(?:[ ,]|\([^()\n]{0,60}\)|(?:No|Nos)\. [\w:-]+|\d{1,4} [A-Z][\w. ]{1,20} \d{1,5}(?:, \d{1,5})?)*"
)


@cache
def _reporters() -> frozenset[str]:
    """Return the names of US reporters and their variants that eyecite knows, without spaces and periods."""
    from reporters_db import EDITIONS, VARIATIONS_ONLY

    return frozenset(_without_periods(name) for name in (*EDITIONS, *VARIATIONS_ONLY))


def _without_periods(reporter: str) -> str:
    return re.sub(r"[ .']", "", reporter)


def _find_us_cases(text: str) -> Iterator[Range]:
    """Yield citations of US cases.

    Those in the plain form "Roe v. Poe, 1 U.S. 2, 3 (1801)" are found here, and eyecite finds the rest:
    eyecite reads 8,000 to 100,000 characters of dense citations per second, and these patterns fifty times as
    many.
    """
    end = 0
    rest: list[Range] = []
    for pattern in (_VOLUME, _LATE):
        for match in pattern.finditer(text):
            if pattern is _VOLUME and _without_periods(match.group(1)) not in _reporters():
                if _MAYBE_REPORTER.match(match.group(1)):
                    rest.append(match.span())
                continue
            start = _start_with_name(text, match.start(), end)
            if start == match.start() and _DATE.fullmatch(match.group()):
                continue
            after = _AFTER.match(text, match.end())
            end = after.end() if after else match.end()
            yield start, end
    yield from _find_by_eyecite(text, rest)


def _start_with_name(text: str, start: int, floor: int) -> int:
    """Return the start of the name of the case whose report is at `start`.

    That is `start` itself for a parallel report, which has no name; never before `floor`.
    """
    base = max(floor, start - _BACK)
    for name in find_case_names(text[base:start]):
        if _BETWEEN.fullmatch(text, base + name.end, start):
            return base + name.start
    joint = _BEFORE_REPORT.search(text, max(0, start - 8), start)
    if joint:
        named = find_name_start(text, joint.start())
        opening = _IN_RE.search(text, max(0, named - 24), named) or _OPENING.search(text, named, start)
        return opening.start() if opening else start
    return start


def _find_by_eyecite(text: str, hits: list[Range]) -> Iterator[Range]:
    """Yield what eyecite finds around `hits`, in windows so short that it is fast."""
    if not hits:
        return
    from eyecite import get_citations
    from eyecite.models import CaseCitation, FullLawCitation

    # eyecite logs the text of citations that it cannot resolve.
    logging.getLogger("eyecite").setLevel(logging.CRITICAL + 1)
    for start, end in _windows(hits, len(text)):
        window = text[start:end]
        for citation in get_citations(window):
            if isinstance(citation, CaseCitation | FullLawCitation):
                first, last = citation.full_span()
                pin_first, pin_last = citation.span_with_pincite()
                first, last = min(first, pin_first), max(last, pin_last)
                # A name does not extend across paragraphs.
                paragraph = window.rfind("\n\n", first, citation.span()[0])
                yield start + (paragraph + 2 if paragraph >= 0 else first), start + last


def _windows(hits: list[Range], length: int) -> Iterator[Range]:
    """Yield ranges around `hits`; hits close to each other share one, up to a length."""
    last: Range | None = None
    for first, end in sorted(hits):
        start, end = max(0, first - _BACK), min(length, end + 160)
        if last and start <= last[1] and end - last[0] <= _MOST_PARSED:
            last = (last[0], end)
            continue
        if last:
            yield last
        last = (start, end)
    if last:
        yield last
