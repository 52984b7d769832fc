# ruff: noqa: E501  -- cues read best on one line
"""Roles of people in a case, from the words around a name.

The cues are English, German, Chinese, and those of the Romance and Slavic languages and Dutch.

The functions are pure: text and spans in, roles out. A name without a cue has the role `other`. An entity has
the most protected role among its mentions, because a wrong "judge" would expose a victim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from lexveil.nlp.letters import HAN, to_latin
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import COURTESY_TITLES

T = TypeVar("T")

# Most protected first: if mentions disagree, the first of these applies.
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

_SHARED = frozenset({"counsel", "judge"})

_BEFORE, _AFTER, _CAPTION = 90, 60, 1500
# Text that may stand between a cue and its name.
_TITLES = rf"(?:(?<!\w)(?:{'|'.join(COURTESY_TITLES)}|Dipl|Ing|med|jur|The|a|an|the|der|die|den|dem)\b\.?\s*)"


class _Cue(NamedTuple):
    """Patterns of the text right before a name (up to its titles) and right after it that indicate a role."""

    role: str
    before: re.Pattern[str]
    after: re.Pattern[str]


def _compile_cue(role: str, before: str, after: str) -> _Cue:
    return _Cue(role, re.compile(before), re.compile(after))


_LATIN = (
    _compile_cue(
        "judge",
        r"\b(?:[Jj]udges?|JUDGES?|(?:Chief |Lord |Lady |Lady Chief |Lord Chief |Associate |Presiding )?Justices?|JUSTICES?|[Mm]agistrates?|Recorder|Master of the Rolls|[Bb]efore|BEFORE|(?:Tribunal|TRIBUNAL|Panel|PANEL|Coram|CORAM|Bench|BENCH)(?: [Mm]embers?)?(?=:)|"
        r"(?:[Vv]orsitzenden? )?Richter(?:in)?(?:s|nen)?(?: am [A-ZÄÖÜ]\w+(?: [A-ZÄÖÜ]\w+)?)?|Präsident(?:in)? des [A-ZÄÖÜ]\w+|Berichterstatter(?:in)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:(?:ad hoc|[Cc]ircuit|[Dd]istrict|[Mm]agistrate|[Pp]residing|[Cc]hief|[Ss]enior|[Aa]ssociate|[Aa]dministrative|[Ll]aw|[Bb]ankruptcy|U\.? ?S\.?|United States) ){0,3}(?:[Jj]udges?|JUDGES?|[Jj]ustices?|JUSTICES?)\b|C?LJ\b|C?J\.?(?=[\s,;:)]|$)|JJ\b|JSC\b|"
        r"(?:Section |Vice-)?President(?= of the (?:Section|Chamber|Court)\b|,? *\n)|(?:VICE[- ])?PRESIDENT(?= *\n)|Richter(?:in)? am\b|als (?:Vorsitzende|Richter|Berichterstatter))",
    ),
    _compile_cue(
        "counsel",
        r"\A(?![\s\S]*(?:[Ww]itness|WITNESS|[Ee]xamined|[Ee]xhibit))[\s\S]*?(?:^|\n|\. )[ \t]*(?:[Ff]or the (?:[Pp]laintiff|[Dd]efendant|[Cc]laimant|[Aa]ppellant|[Rr]espondent|[Aa]pplicant|[Pp]etitioner|[Dd]efence|[Cc]rown|[Pp]rosecution)s?\s*:\s*)\Z",
        r"[,\s]*(?:[Ss]enior )?(?:Home Office )?Presenting Officer\b",
    ),
    _compile_cue(
        "counsel",
        r"\b(?:ayant pour avocate?|assistée?s? (?:de|par)|Me(?=\s*\Z)|Maître|[Aa]vocate?|[Aa]bogad[oa]|[Ll]etrad[oa]|[Aa]vv\.|[Aa]vvocat[oai]|difes[oa] da(?:ll'avv\.)?|[Aa]dvogad[oa]|adw\.|r\. ?pr\.|adwokata?|radc[ay] prawn(?:y|ego)|[Aa]dvocaat|gemachtigde|odvjetni(?:k|ca|ka)|advokata?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:avocate?\b|abogad[oa]\b|letrad[oa]\b|avvocat[oa]\b|advogad[oa]\b|OAB\b|adwokat\b|radca prawny|advocaat\b|odvjetnik|advokat)",
    ),
    _compile_cue(
        "judge",
        r"\b(?:(?:[Pp]résidente?|[Cc]onseill(?:er|ère)) (?:de chambre|rapporteure?|à la cour|référendaire)|[Jj]uge (?:d'instruction|aux affaires familiales|unique|de la mise en état)|[Mm]agistrad[oa](?: [Pp]onente)?|Ponente|[Jj]uez[a]?|[Gg]iudic[ei]|[Cc]onsiglier[ei] (?:relatore|estensore)|[Jj]uíza?|[Dd]esembargadora?|[Ss]ędzi(?:a|ego)|[Rr]echter|[Rr]aadsheer|[Ss]ud(?:ac|ija|kinja))(?: [Mm](?:me|\.))?\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:présidente?|conseill(?:er|ère)) (?:de chambre|rapporteur|à la cour|référendaire)|juge (?:au tribunal|d'instruction)|magistrad[oa]\b|giudice\b|desembargadora?\b|sędzia\b|rechters?\b|sudac\b|sudija\b)",
    ),
    _compile_cue(
        "counsel",
        r"\b(?:(?:LLP|PLLC|LLC|P\.? ?[AC]\.?|Solicitors|Chambers),? by|with whom|represented(?: before the Court| in these proceedings)?(?: initially| first)?,? by|[Cc]ounsel(?: for [^.;\n]{2,40}?)?|COUNSEL|[Ss]olicitors?|[Bb]arristers?|[Aa]dvocates?|[Aa]ttorneys?(?: for [^.;\n]{2,40}?)?|[Ll]awyers?|"
        r"Rechtsanw[aä]lt(?:e|en|in|innen|s)?|RA(?:in)?|(?:Prozess|Verfahrens)bevollmächtigte[rn]?|[Vv]erteidiger(?:in|s)?|vertreten durch)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|an|the) (?:lawyer|solicitor|barrister|attorney|advocate)|lawyers?\b|counsel\b|of counsel|(?:solicitor|barrister|advocate)s?,? (?:for|appear(?:s|ed|ing)?)\b|(?:Q\.?C|K\.?C|S\.?C)\b|Esq\b|E[sS][qQ]\.|attorneys? (?:for|at)|for (?:the )?(?:plaintiff|defendant|claimant|appellant|appellee|respondent|applicant|petitioner|defence|Crown)s?(?:-(?:appellant|appellee)s?)?\b|instructed by|with whom\b|(?:was |were )?on (?:the )?briefs?\b|(?:(?:Deputy|Assistant|Associate|Special|Senior|Acting|Chief) ){0,3}(?:Attorneys?|Solicitors?) General\b|Rechtsanw[aä]lt)",
    ),
    _compile_cue(
        "official",
        r"\b(?:their Agents?|the Agents? of the Government|Agents?|(?:Deputy )?(?:Section )?Registrar|[Cc]lerk|[Pp]rosecutor|(?:Police |Detective |Chief )?(?:Officer|Sergeant|Constable|Inspector|Superintendent|Detective)|PC|DC|Minister(?: of \w+)?|Mayor|Secretary|Staatsanw[aä]lt(?:in|s)?|Rechtspfleger(?:in)?|Urkundsbeamt(?:er|in))\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:Deputy )?(?:Section )?Registrar\b|Agents?\b|of the (?:Federal )?Ministry|(?:Minister|Secretary) (?:of|for)\b|[Pp]rosecutor\b|als Urkundsbeamt)",
    ),
    _compile_cue(
        "victim",
        r"\b(?:[Vv]ictims?|[Dd]eceased|[Cc]omplainants?|DECEASED|injured party|Opfers?|Geschädigte[rn]?|Verletzte[rn]?|Nebenkläger(?:in|s)?|Getötete[rn]?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:the (?:victim|deceased|complainant)\b|deceased\b|als (?:Geschädigte|Nebenkläg))",
    ),
    _compile_cue(
        "witness",
        r"\b(?:[Ww]itness(?:es)?|WITNESS(?:ES)?|[PD]\.? ?W\.?[ -]?\d{1,2}|testimony of|evidence of|statements? of|Zeug(?:en?|in|innen))\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|the|as a) witness\b|testified\b|(?:gave|giving) evidence|als Zeug)",
    ),
    _compile_cue(
        "expert",
        r"\b(?:[Ee]xperts?(?: [Ww]itness(?:es)?)?|[Ss]urveyor|[Pp]sychiatrist|[Pp]sychologist|[Pp]athologist|[Aa]ppraiser|Sachverständige[rn]?|Gutachter(?:in|s)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:(?:a|an|the) (?:(?:court-appointed|independent|forensic|medical|handwriting) )?(?:expert|surveyor|psychiatrist|psychologist|pathologist)\b|als Sachverständige)",
    ),
    _compile_cue(
        "victim",
        r"\b(?:[Vv]ictimes?|[Vv]íctimas?|[Vv]ittim[ae]|[Vv]ítimas?|[Pp]okrzywdzon\w{1,3}|[Ss]lachtoffers?|[Oo]štećen\w{1,3})\s*[:,]?\s*",
        r"[,\s]*\(?(?:victime|víctima|vittima|vítima|pokrzywdzon|slachtoffer|oštećen)",
    ),
    _compile_cue(
        "witness",
        r"\b(?:[Tt]émoins?|[Tt]estigos?|[Tt]estimon[ei]|[Tt]estemunhas?|[Śś]wiad\w{2,5}|[Gg]etuigen?|[Ss]v(?:j)?edok\w{0,4})\s*[:,]?\s*",
        r"[,\s]*\(?(?:témoin|testigo|testimone|testemunha|świadek|getuige|sv(?:j)?edok)",
    ),
    _compile_cue(
        "party",
        r"\b(?:[Rr]equérante?|[Dd]emandeu(?:r|se|resse)|[Dd]éfendeu(?:r|resse)|[Aa]ppelante?|[Ii]ntimée?|[Pp]révenue?|[Aa]ccusée?|[Ss]alariée?|[Dd]emandante|[Dd]emandad[oa]|[Rr]ecurrente|[Aa]cusad[oa]|[Ii]mputad[oa]|[Rr]icorrente|[Ii]mputat[oa]|[Cc]onvenut[oa]|[Aa]ttor[ei]|[Aa]utora?|[Rr]éu?|[Rr]ecorrente|[Aa]pelante|[Pp]ow[oó]d\w{0,4}|[Pp]ozwan\w{1,3}|[Oo]skarżon\w{1,3}|[Ee]iser(?:es)?|[Vv]erweerder|[Vv]erdachte|[Gg]edaagde|[Vv]erzoeker|[Tt]užitelj\w{0,4}|[Tt]užilac|[Tt]užen\w{1,3}|[Oo]krivljen\w{1,3}|[Oo]ptužen\w{1,3})\s*[:,]?\s*",
        r"[,\s]*\(?(?:requérant|demandeur|défendeur|appelant|intimé|prévenu|ricorrente|imputato|recurrente|demandante|powód|pozwany|oskarżony|eiser|verdachte)",
    ),
    _compile_cue(
        "party",
        r"\b(?:[Aa]pplicants?|APPLICANTS?|[Pp]laintiffs?|PLAINTIFFS?|[Dd]efendants?|DEFENDANTS?|[Aa]ppell(?:ant|ee)s?|APPELL(?:ANT|EE)S?|[Rr]espondents?|RESPONDENTS?|[Pp]etitioners?|PETITIONERS?|[Cc]laimants?|CLAIMANTS?|"
        r"[Aa]ccused|[Dd]ebtors?|[Tt]enants?|[Ll]andlords?|nationals?|[Hh]usband|[Ww]ife|[Kk]läger(?:in|s|innen)?|Beklagten?[rn]?|Angeklagten?[rn]?|Beschuldigten?[rn]?|Antragsteller(?:in|s)?|Antragsgegner(?:in|s)?|Beschwerdeführer(?:in|s)?)\s*[:,]?\s*",
        r"[,\s]*\(?(?:[\"'“]?the (?:first |second |third )?(?:applicant|plaintiff|defendant|claimant|petitioner|respondent|appellant|debtor)\b|(?:[Aa]pplicant|[Pp]laintiff|[Dd]efendant|[Aa]ppell(?:ant|ee)|[Rr]espondent|[Pp]etitioner|[Cc]laimant|PLAINTIFF|DEFENDANT|APPELLANT|RESPONDENT|PETITIONER|CLAIMANT|APPLICANT)s?\b|"
        r"v\.? [A-Z]|[-–— ]*(?:Kläger|Beklagte|Angeklagte|Antragsteller|Antragsgegner))",
    ),
)
_CHINESE = (
    _compile_cue("judge", r"(?:审判长|审判员|代理审判员|人民陪审员|陪审员|助理审判员|主审法官|法官)[\s:：、,，]*", r"\s*(?:法官|审判长|审判员)"),
    _compile_cue("counsel", r"(?:辩护人|(?:委托)?诉讼代理人|委托代理人|代理人|律师|指派)[\s:：、,，]*", r"[\s,，（(]*(?:系?[^,，。；;\s]{0,24}律师)"),
    _compile_cue("official", r"(?:书记员|公诉人|检察员|代理检察员|检察官|民警|执行员|法官助理)[\s:：、,，]*", r"\s*(?:检察员|检察官|出庭)"),
    _compile_cue("victim", r"(?:被害人|受害人|死者|被害单位|附带民事诉讼原告人|伤者)(?:[(（][^)）]{0,8}[)）])?[\s:：、,，]*", r"\s*[(（](?:被害人|死者|受害人)"),
    _compile_cue("witness", r"(?:证人|见证人)[\s:：、,，]*", r"\s*(?:的?证言|[(（]证人)"),
    _compile_cue("expert", r"(?:鉴定人|鉴定专家|专家辅助人|鉴定员)[\s:：、,，]*", r"\s*(?:的?鉴定意见)"),
    _compile_cue(
        "party",
        r"(?:原审)?(?:原告人?|被告人?|上诉人|被上诉人|再审申请人|申请人|被申请人|申请执行人|被执行人|第三人|反诉原告|反诉被告)(?:[(（][^)）]{0,16}[)）])?[\s:：、,，]*",
        r"\s*[(（](?:原审|以下简称)?(?:原告|被告|上诉人|被上诉人|申请人)|诉",
    ),
)  # fmt: skip
_PLURAL = re.compile(
    r"(?:[Jj]udges|JUDGES|Justices|JUSTICES|[Bb]efore|BEFORE|[Aa]pplicants|[Pp]laintiffs|[Dd]efendants|[Ww]itnesses|"
    r"[Vv]ictims|[Ll]awyers|[Ss]olicitors|by|with whom|Richter|Zeugen|Rechtsanwälte)\s*[:,]?\s*(?:and |und )?$|(?:Tribunal|TRIBUNAL|Panel|PANEL|Coram|CORAM|Bench|BENCH)(?: [Mm]embers?)?:\s*(?:[A-Z][a-z]+ ){0,3}$"
)
# "Mr Justice Roe", where a detector takes the office for a part of the name.
_JUSTICE = re.compile(r"(?:(?:Chief|CHIEF) )?(?:Mr |MR |Lord |LORD |Lady |LADY )?(?:Justice|JUSTICE) ")
# "Ada Roe QC (instructed by Poe LLP)", "Ada Roe (of Poe Solicitors)", and in the list of speeches "LORD ROE: (with whom".
_INSTRUCTED = re.compile(
    r"[,\s]*(?:[QKS]\.?C\.?)?\s*\((?:instructed (?:by )?(?:the )?[A-Z]|of [A-Z][^()\n]{2,60} Solicitors\))"
)
_WITH_WHOM = re.compile(r":\s*\((?:with whom|dissenting|concurring)\b")
# What follows the last of several people who share a role.
_PLURAL_AFTER = re.compile(
    r"[,\s]*\(?(?:[A-Za-z.]+ ){0,3}(?:[Jj]udges|JUDGES|[Jj]ustices|JUSTICES|JJ\b)|[,\s]*were on (?:the )?briefs?\b|"
    r"[,\s]*(?:[QKS]\.?C\.?)?\s*\(instructed\b"
)
_JOINED = re.compile(r"[\s,、]*(?:(?:and|und|sowie|&|和|与|及)\s*)?")
_STOP = re.compile(
    r"[.!?;](?<!\b[A-Z].)(?<!Mr.)(?<!Mrs.)(?<!Ms.)(?<!Dr.)(?<!Prof.)(?<!Hon.)(?<!med.)\s+(?=[A-ZÄÖÜ])|\n\s*\n|[。；;]"
)
_TITLES_AT_END = re.compile(rf"(?:{_TITLES}|Mr\s|Mrs\s)*\Z")
_BENCH = re.compile(r"(?i:composed of|sitting as|coram|constituted by)\b[^.]{0,120}?:")
_BENCH_END = re.compile(
    r"\b(?:judges?|Registrar|Having deliberated)\b(?!,? *\n\s*(?:and )?(?:Mr|Mrs|Ms|Sir))"
)
_REGISTRAR = re.compile(r"[,\s]*(?:Deputy )?(?:Section )?Registrar")
_VERSUS = re.compile(r"(?<=[\s,])(?:v\.?|vs\.?|versus|gegen|AGAINST|against)(?=\s)")
_HAN = re.compile(f"[{HAN}]")


def role_applies(role: str, kind: str) -> bool:
    """Return True if a finding of the type `kind` can have the role."""
    return kind in ROLE_TYPES and (role == "company") == (kind == "ORGANIZATION")


def find_roles(text: str, spans: Sequence[Span]) -> list[str]:
    """Return the role of each span by its own surroundings; "" for types without roles.

    An ORGANIZATION is always `company`.

    Args:
        text: the document.
        spans: its sorted spans.
    """
    benches = _find_benches(text)
    found: list[str] = []
    last_end, shared = -1, ""  # end of the last person, and the role that the next person in a list shares
    for span in spans:
        if span.type == "ORGANIZATION":
            found.append("company")
        elif span.type != "PERSON":
            found.append("")
        else:
            role, plural = _find_role(text, span, benches)
            if role == "other" and shared and _continues_list(text, last_end, span.start):
                role, plural = shared, True
            last_end, shared = span.end, role if plural else ""
            found.append(role)
    _share_backward(text, spans, found)
    return found


def _share_backward(text: str, spans: Sequence[Span], roles: list[str]) -> None:
    """Give people in a list the role that follows the last of them: "Roe and Poe, Circuit Judges"."""
    for index in range(len(spans) - 1, 0, -1):
        after = text[spans[index].end : spans[index].end + _AFTER]
        if roles[index] not in _SHARED or not _PLURAL_AFTER.match(after):
            continue
        for place in range(index - 1, -1, -1):
            if roles[place] != "other" or not _continues_list(text, spans[place].end, spans[place + 1].start):
                break
            roles[place] = roles[index]


def merge_roles(mentions: Iterable[tuple[T, str]], merged: dict[T, str] | None = None) -> dict[T, str]:
    """Return the most protected role of each entity among those of its mentions.

    A cue outweighs the absence of one, so `other` yields to every role.

    Args:
        mentions: (entity, role of one of its mentions).
        merged: roles found before, which these are merged into.
    """
    best: dict[T, str] = {} if merged is None else merged
    for entity, role in mentions:
        known = best.get(entity)
        if known is None or ROLES.index(role or "other") < ROLES.index(known or "other"):
            best[entity] = role
    return best


def _continues_list(text: str, end: int, start: int) -> bool:
    """Return True if two names are joined by a comma or an "and" only, titles aside."""
    gap = text[end:start]
    return len(gap) < 40 and _JOINED.sub("", _TITLES_AT_END.sub("", gap), count=1).strip(" ,") == ""


def _find_role(text: str, span: Span, benches: Sequence[tuple[int, int]]) -> tuple[str, bool]:
    """Return the role of a person, and True if its cue introduces several people."""
    after = text[span.end : span.end + _AFTER]
    if any(start <= span.start < end for start, end in benches):
        return "official" if _REGISTRAR.match(after[:40]) else "judge", False
    before = _cut_at_sentence(text[max(0, span.start - _BEFORE) : span.start])
    if _HAN.search(text, span.start, span.end):
        return _match_before(_CHINESE, before) or _match_after(_CHINESE, after) or "other", False
    if _JUSTICE.match(text, span.start, span.end):
        return "judge", False
    untitled, after = _TITLES_AT_END.sub("", to_latin(before)), to_latin(after)
    # A party on the line before is somebody else.
    if _INSTRUCTED.match(after) or untitled.endswith("(instructed by "):
        return "counsel", False
    if _WITH_WHOM.match(after):
        return "judge", False
    role = _match_before(_LATIN, untitled)
    if role:
        return role, bool(_PLURAL.search(untitled))
    role = _match_after(_LATIN, after)
    if role:
        return role, False
    if span.start < _CAPTION and _VERSUS.search(before[-12:]):
        return "party", False
    return "other", False


def _cut_at_sentence(before: str) -> str:
    """Return the part of the text before a name that belongs to its sentence."""
    stops = [match.end() for match in _STOP.finditer(before)]
    return before[stops[-1] :] if stops else before


def _match_before(cues: Sequence[_Cue], before: str) -> str:
    """Return the role of the first cue that ends where the name begins, or ""."""
    for cue in cues:
        if any(match.end() == len(before) for match in cue.before.finditer(before)):
            return cue.role
    return ""


def _match_after(cues: Sequence[_Cue], after: str) -> str:
    """Return the role of the first cue that follows the name, or ""."""
    return next((cue.role for cue in cues if cue.after.match(after)), "")


def _find_benches(text: str) -> list[tuple[int, int]]:
    """Return the ranges that list the members of a court."""
    ranges: list[tuple[int, int]] = []
    for match in _BENCH.finditer(text):
        end = _BENCH_END.search(text, match.end(), match.end() + 1500)
        last = end
        while end:  # the line of the registrar may follow ", judges,"
            last, end = end, _BENCH_END.search(text, end.end(), min(end.end() + 160, match.end() + 1500))
        if last:
            ranges.append((match.end(), last.end()))
    return ranges
