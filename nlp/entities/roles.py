# ruff: noqa: E501  -- cues read best on one line
"""Which part somebody plays in a case, from the words around a name: English, German, Chinese.

Pure: text and spans in, roles out. A name without a cue is `other`; an entity's role is that of its
mentions together, the most protected one first, for a wrong "judge" would show a victim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lexveil.nlp.letters import HAN
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import COURTESY_TITLES

# Most protected first: where mentions disagree, the first of these stands.
ROLES: tuple[str, ...] = (
    "victim",
    "witness",
    "party",
    "expert",
    "official",
    "counsel",
    "judge",
    "company",
    "other",
)
ROLE_TYPES: frozenset[str] = frozenset({"PERSON", "ORGANIZATION"})

_BEFORE, _AFTER, _CAPTION = 90, 60, 1500
# Between a cue and the name it is about.
_TITLES = rf"(?:(?:{'|'.join(COURTESY_TITLES)}|Dipl|Ing|med|jur|The|a|an|the|der|die|den|dem)\b\.?\s*)"


class _Cue(NamedTuple):
    role: str
    before: re.Pattern[str]
    after: re.Pattern[str]


def _cue(role: str, before: str, after: str) -> _Cue:
    return _Cue(role, re.compile(before), re.compile(after))


# What stands right before (its match ends where titles and the name begin), and right after.
_LATIN = (
    _cue(
        "judge",
        r"\b(?:[Jj]udges?|JUDGES?|(?:Chief |Lord |Lady |Lady Chief |Lord Chief |Associate |Presiding )?Justices?|JUSTICES?|[Mm]agistrates?|Recorder|Master of the Rolls|[Bb]efore|BEFORE|"
        r"(?:[Vv]orsitzenden? )?Richter(?:in)?(?:s|nen)?(?: am [A-ZÄÖÜ]\w+(?: [A-ZÄÖÜ]\w+)?)?|Präsident(?:in)? des [A-ZÄÖÜ]\w+|Berichterstatter(?:in)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:ad hoc |[Cc]ircuit |[Dd]istrict |[Mm]agistrate |[Pp]residing |[Cc]hief )?(?:[Jj]udges?|JUDGES?|[Jj]ustice|JUSTICE)\b|C?LJ\b|C?J\.?(?=[\s,;:)]|$)|JJ\b|JSC\b|"
        r"(?:Section |Vice-)?President(?= of the (?:Section|Chamber|Court)\b|,? *\n)|Richter(?:in)? am\b|als (?:Vorsitzende|Richter|Berichterstatter))",
    ),
    _cue(
        "counsel",
        r"\b(?:represented(?: before the Court| in these proceedings)?(?: initially| first)?,? by|[Cc]ounsel(?: for [^.;\n]{2,40}?)?|COUNSEL|[Ss]olicitors?|[Bb]arristers?|[Aa]dvocates?|[Aa]ttorneys?(?: for [^.;\n]{2,40}?)?|[Ll]awyers?|"
        r"Rechtsanw[aä]lt(?:e|en|in|innen|s)?|RA(?:in)?|(?:Prozess|Verfahrens)bevollmächtigte[rn]?|[Vv]erteidiger(?:in|s)?|vertreten durch)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|an|the) (?:lawyer|solicitor|barrister|attorney|advocate)|lawyers?\b|counsel\b|of counsel|(?:Q\.?C|K\.?C|S\.?C)\b|Esq\b|E[sS][qQ]\.|attorneys? (?:for|at)|for the (?:plaintiff|defendant|claimant|appellant|respondent|applicant|petitioner|defence|Crown)s?\b|instructed by|Rechtsanw[aä]lt)",
    ),
    _cue(
        "official",
        r"\b(?:their Agents?|the Agents? of the Government|Agents?|(?:Deputy )?(?:Section )?Registrar|[Cc]lerk|[Pp]rosecutor|(?:Police |Detective |Chief )?(?:Officer|Sergeant|Constable|Inspector|Superintendent|Detective)|PC|DC|Minister(?: of \w+)?|Mayor|Secretary|Staatsanw[aä]lt(?:in|s)?|Rechtspfleger(?:in)?|Urkundsbeamt(?:er|in))\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:Deputy )?(?:Section )?Registrar\b|Agents?\b|of the (?:Federal )?Ministry|(?:Minister|Secretary) (?:of|for)\b|[Pp]rosecutor\b|als Urkundsbeamt)",
    ),
    _cue(
        "victim",
        r"\b(?:[Vv]ictims?|[Dd]eceased|[Cc]omplainants?|DECEASED|injured party|Opfers?|Geschädigte[rn]?|Verletzte[rn]?|Nebenkläger(?:in|s)?|Getötete[rn]?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:the (?:victim|deceased|complainant)\b|deceased\b|als (?:Geschädigte|Nebenkläg))",
    ),
    _cue(
        "witness",
        r"\b(?:[Ww]itness(?:es)?|WITNESS(?:ES)?|testimony of|evidence of|statements? of|Zeug(?:en?|in|innen))\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|the|as a) witness\b|testified\b|(?:gave|giving) evidence|als Zeug)",
    ),
    _cue(
        "expert",
        r"\b(?:[Ee]xperts?(?: [Ww]itness(?:es)?)?|[Ss]urveyor|[Pp]sychiatrist|[Pp]sychologist|[Pp]athologist|[Aa]ppraiser|Sachverständige[rn]?|Gutachter(?:in|s)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|an|the) (?:(?:court-appointed|independent|forensic|medical|handwriting) )?(?:expert|surveyor|psychiatrist|psychologist|pathologist)\b|als Sachverständige)",
    ),
    _cue(
        "party",
        r"\b(?:[Aa]pplicants?|APPLICANTS?|[Pp]laintiffs?|PLAINTIFFS?|[Dd]efendants?|DEFENDANTS?|[Aa]ppell(?:ant|ee)s?|APPELL(?:ANT|EE)S?|[Rr]espondents?|RESPONDENTS?|[Pp]etitioners?|PETITIONERS?|[Cc]laimants?|CLAIMANTS?|"
        r"[Aa]ccused|[Dd]ebtors?|[Tt]enants?|[Ll]andlords?|nationals?|[Hh]usband|[Ww]ife|[Kk]läger(?:in|s|innen)?|Beklagten?[rn]?|Angeklagten?[rn]?|Beschuldigten?[rn]?|Antragsteller(?:in|s)?|Antragsgegner(?:in|s)?|Beschwerdeführer(?:in|s)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:[\"'“]?the (?:first |second |third )?(?:applicant|plaintiff|defendant|claimant|petitioner|respondent|appellant|debtor)\b|(?:[Aa]pplicant|[Pp]laintiff|[Dd]efendant|[Aa]ppell(?:ant|ee)|[Rr]espondent|[Pp]etitioner|[Cc]laimant|PLAINTIFF|DEFENDANT|APPELLANT|RESPONDENT|PETITIONER|CLAIMANT|APPLICANT)s?\b|"
        r"v\.? [A-Z]|[-–— ]*(?:Kläger|Beklagte|Angeklagte|Antragsteller|Antragsgegner))",
    ),
)
_CHINESE = (
    _cue("judge", r"(?:审判长|审判员|代理审判员|人民陪审员|陪审员|助理审判员|主审法官|法官)[\s:：、,，]*", r"\s*(?:法官|审判长|审判员)"),
    _cue("counsel", r"(?:辩护人|(?:委托)?诉讼代理人|委托代理人|代理人|律师|指派)[\s:：、,，]*", r"[\s,，（(]*(?:系?[^,，。；;\s]{0,24}律师)"),
    _cue("official", r"(?:书记员|公诉人|检察员|代理检察员|检察官|民警|执行员|法官助理)[\s:：、,，]*", r"\s*(?:检察员|检察官|出庭)"),
    _cue("victim", r"(?:被害人|受害人|死者|被害单位|附带民事诉讼原告人|伤者)(?:[(（][^)）]{0,8}[)）])?[\s:：、,，]*", r"\s*[(（](?:被害人|死者|受害人)"),
    _cue("witness", r"(?:证人|见证人)[\s:：、,，]*", r"\s*(?:的?证言|[(（]证人)"),
    _cue("expert", r"(?:鉴定人|鉴定专家|专家辅助人|鉴定员)[\s:：、,，]*", r"\s*(?:的?鉴定意见)"),
    _cue(
        "party",
        r"(?:原审)?(?:原告人?|被告人?|上诉人|被上诉人|再审申请人|申请人|被申请人|申请执行人|被执行人|第三人|反诉原告|反诉被告)(?:[(（][^)）]{0,16}[)）])?[\s:：、,，]*",
        r"\s*[(（](?:原审|以下简称)?(?:原告|被告|上诉人|被上诉人|申请人)|诉",
    ),
)  # fmt: skip
_PLURAL = re.compile(
    r"(?:[Jj]udges|JUDGES|Justices|JUSTICES|[Bb]efore|BEFORE|[Aa]pplicants|[Pp]laintiffs|[Dd]efendants|[Ww]itnesses|"
    r"[Vv]ictims|[Ll]awyers|[Ss]olicitors|by|Richter|Zeugen|Rechtsanwälte)\s*[:,]?\s*(?:and |und )?$"
)
_JOINED = re.compile(r"[\s,、]*(?:(?:and|und|sowie|&|和|与|及)\s*)?")
_STOP = re.compile(
    r"(?<!\b[A-Z])(?<!Mr)(?<!Mrs)(?<!Ms)(?<!Dr)(?<!Prof)(?<!Hon)(?<!med)[.!?;]\s+(?=[A-ZÄÖÜ])|\n\s*\n|[。；;]"
)
_TITLES_AT_END = re.compile(rf"(?:{_TITLES}|Mr\s|Mrs\s)*\Z")
_BENCH = re.compile(r"(?i:composed of|sitting as|coram|constituted by)\b[^.]{0,120}?:")
_BENCH_END = re.compile(
    r"\b(?:judges?|Registrar|Having deliberated)\b(?!,? *\n\s*(?:and )?(?:Mr|Mrs|Ms|Sir))"
)
_VERSUS = re.compile(r"(?<=[\s,])(?:v\.?|vs\.?|versus|gegen|AGAINST|against)(?=\s)")
_HAN = re.compile(f"[{HAN}]")


def role_applies(role: str, kind: str) -> bool:
    """Whether a finding of this type can have that role at all."""
    return kind in ROLE_TYPES and (role == "company") == (kind == "ORGANIZATION")


def roles(text: str, spans: Sequence[Span]) -> list[str]:
    """The role of each span by its own surroundings; "" for types that have none.

    `spans` are sorted. ORGANIZATION is always `company`.
    """
    bench = _benches(text)
    found: list[str] = []
    previous: tuple[int, str] = (-1, "")  # end of the last person, and a role that a list may hand on
    for span in spans:
        if span.type == "ORGANIZATION":
            found.append("company")
        elif span.type != "PERSON":
            found.append("")
        else:
            role, plural = _of_person(text, span, bench)
            end, handed = previous
            if role == "other" and handed and _joins(text, end, span.start):
                role, plural = handed, True
            previous = (span.end, role if plural else "")
            found.append(role)
    return found


def of_entities(entities: Iterable[tuple[int, str]]) -> dict[int, str]:
    """One role for each entity out of (entity, role of a mention): the most protected that was seen.

    A cue is believed before the absence of one, so `other` yields to every role.
    """
    best: dict[int, str] = {}
    for entity, role in entities:
        known = best.get(entity)
        if known is None or ROLES.index(role or "other") < ROLES.index(known or "other"):
            best[entity] = role
    return best


def _joins(text: str, end: int, start: int) -> bool:
    gap = text[end:start]
    return len(gap) < 40 and _JOINED.sub("", _TITLES_AT_END.sub("", gap), count=1).strip(" ,") == ""


def _of_person(text: str, span: Span, bench: Sequence[tuple[int, int]]) -> tuple[str, bool]:
    """(role, whether its cue speaks of several people)."""
    if any(start <= span.start < end for start, end in bench):
        after = text[span.end : span.end + 40]
        return (
            "official" if re.match(r"[,\s]*(?:Deputy )?(?:Section )?Registrar", after) else "judge"
        ), False
    before = text[max(0, span.start - _BEFORE) : span.start]
    stops = [match.end() for match in _STOP.finditer(before)]
    before = before[stops[-1] :] if stops else before
    after = text[span.end : span.end + _AFTER]
    if _HAN.search(text, span.start, span.end):
        return _chinese(before, after), False
    trimmed = _TITLES_AT_END.sub("", before)
    for cue in _LATIN:
        for match in cue.before.finditer(trimmed):
            if match.end() == len(trimmed):
                return cue.role, bool(_PLURAL.search(trimmed))
    for cue in _LATIN:
        if cue.after.match(after):
            return cue.role, False
    if span.start < _CAPTION and _VERSUS.search(before[-12:]):
        return "party", False
    return "other", False


def _chinese(before: str, after: str) -> str:
    for cue in _CHINESE:
        for match in cue.before.finditer(before):
            if match.end() == len(before):
                return cue.role
    return next((cue.role for cue in _CHINESE if cue.after.match(after)), "other")


def _benches(text: str) -> list[tuple[int, int]]:
    """Ranges that list the members of a court."""
    ranges: list[tuple[int, int]] = []
    for match in _BENCH.finditer(text):
        end = _BENCH_END.search(text, match.end(), match.end() + 1500)
        last = end
        while end:  # ", judges," may be followed by the registrar's own line
            last, end = end, _BENCH_END.search(text, end.end(), min(end.end() + 160, match.end() + 1500))
        if last:
            ranges.append((match.end(), last.end()))
    return ranges
