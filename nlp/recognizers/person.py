# ruff: noqa: E501  -- patterns read best on one line
"""Names of people in English texts, by a title, role, signature, label or caption."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.patterns.triggers import Pattern
from lexveil.nlp.recognizers.base import CHECKED, ENGLISH, GUESSED, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.organization import SUFFIX
from lexveil.nlp.text import find_line
from lexveil.nlp.vocabulary import (
    AMBIGUOUS_NAMES,
    COURTESY_TITLES,
    FOLDED_TITLES,
    GENERATIONS,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_FORMS,
    LEGAL_WORDS,
    OFFICE_TITLES,
    PLACES,
    TIME_WORDS,
)

_INITIALS = rf"(?:[{UPPER}]\.[ ]?-?){{1,4}}"
_WORD = rf"(?:(?:Mc|Mac)[{UPPER}]{{2,}}|(?:[OD]'|[{UPPER}][{LOWER}]{{1,3}}(?=[{UPPER}]))?[{UPPER}][{LOWER}]+(?:[-'][{UPPER}]?[{LOWER}]+)*|[{UPPER}]{{2,}}(?:[-'][{UPPER}]+)*|[{UPPER}]'[{UPPER}]+)"
PARTICLE = r"(?:van der|van den|van de|von der|de la|de los|van|von|der|den|del|della|di|da|dos|de|du|la|le|al|el|bin|bint|binti|binte|ibn|arap|ole|wa|ben|ter|ten|zu|af|y|e|ap|Ó|Ní|Nic|Mac)"
# At least one word, with initials, particles and further words around it.
NAME = (
    rf"(?<![\w])(?:{_INITIALS}[ ]?)?(?:{PARTICLE}[ ])?{_WORD}(?:[ ]\"[^\"\n]{{2,20}}\"|[ ]\({_WORD}\))?"
    rf"(?:[ ](?:{_INITIALS}[ ]?)?(?:{PARTICLE}[ ])?{_WORD}){{0,4}}(?:,? (?:{'|'.join(GENERATIONS)})\b\.?)?"
)
_NAME_OR_INITIALS = rf"(?:{NAME}|(?:[{UPPER}]\. ?){{1,4}}(?![\w])|[{UPPER}]\.?(?=[ ,;:)'\n]|$))"
TITLE = rf"(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})"
# Honors before a name in captions of Africa and India.
_HONORS = r"(?i:alhaji|alhaja|alh|hajia|chief|barr|barrister|engr|otunba|prince|princess|oba|mallam|pastor|mrs?|ms|dr|prof|smt|shri|sri|adv|miss)"
_TITLED = ENGLISH.compile(
    rf"(?<![\w'-])(?:the )?{TITLE}\.?[ \n]((?:{TITLE}\.? )*)({_NAME_OR_INITIALS}(?:(?:,? and |, | & )(?:{TITLE}\.? ){_NAME_OR_INITIALS})*)"
)
_ROLE = (
    r"(?:plaintiff|defendant|applicant|petitioner|respondent|appellant|appellee|claimant|complainant|eyewitness|bystander|witness|accused|victim|deceased|"
    r"decedent|testator|tenant|landlord|landlady|lessee|lessor|borrower|guarantor|buyer|seller|purchaser|vendor|employee|employer|"
    r"patient|driver|passenger|suspect|officer|counsel|attorney|lawyer|solicitor|barrister|expert|guardian|trustee|executor|"
    r"executrix|administrator|beneficiary|mediator|arbitrator|notary|clerk|registrar|judge|prosecutor|neighbou?r|colleague|manager|"
    r"supervisor|foreman|labou?rer|electrician|plumber|teacher|headteacher|caretaker|cleaner|secretary|bookkeeper|nurse|midwife|"
    r"paramedic|surgeon|dentist|therapist|technician|mechanic|engineer|handyman|porter|waiter|waitress|bartender|babysitter|trooper|"
    r"director|shareholder|partner|client|insured|debtor|creditor|intervenor|relator|cyclist|pedestrian|motorist|housekeeper|gardener|cellmate|roommate|social worker|caseworker|interpreter|juror|pathologist|wife|husband|son|daughter|mother|"
    r"father|brother|sister|Angeklagter?|Kläger(?:in)?|Beklagter?|Zeugen?|Zeugin)"
)
_ROLED = ENGLISH.compile(rf"\b(?:{_ROLE}|{_ROLE.title()}|{_ROLE.upper()})s?,? ({NAME})")
_ROLED_FULL = ENGLISH.compile(rf"\b(?i:{_ROLE})s?(?:,|:| is| was| named| called)? ({NAME})")
_CALLED = ENGLISH.compile(
    rf"(?:\b(?:named|called|known as|a/k/a|aka|f/k/a|née|alias|my name is|appoints?|nominates?|(?:DEPOSITION|AFFIDAVIT|TESTIMONY|DECLARATION|EXAMINATION|STATEMENT|INTERVIEW) OF|(?:Deposition|Affidavit|Testimony|Declaration|Interview) of|I,|we,|represented by|lodged by|signed by|by and between|"
    rf"care of|c/o|Attn:?|ATTN:?|Attention:?|Signed:?|Name:|NAME:|Dear|Cc:|From:|To:|residents?|citizens?|nationals?|ex rel\.)[ \t]*,? ?(?:{TITLE}\.? )*)({NAME})"
)
# "I, the undersigned, ADA ROE, do hereby ...", "the estate of ADA ROE", "the widow of the late Ada Roe"
_UNDERSIGNED = ENGLISH.compile(
    rf"\b(?:I|We|i|we),? (?:the )?(?:undersigned|above-?named|deponent),?:?\s{{1,4}}(?:{TITLE}\.? )*({NAME})"
)
_OF_SOMEBODY = ENGLISH.compile(
    rf"\b(?i:petition|estate|will|testament|inquest into the death|death|executors?|widow(?:er)?|relict) (?i:of)(?i: the late)? (?:{TITLE}\.? )*({NAME}(?: (?:or|OR) {NAME})?)"
)
_OR = re.compile(r" (?:or|OR) ")
_LATE = ENGLISH.compile(rf"\b[Tt]he (?:late|deceased) (?:{TITLE}\.? )*({NAME})")
# Ranks and callings before a surname: "PC 4471 Roe", "Ch/Insp Roe", "RN Roe"; a word after them may be anything else.
_RANKED = ENGLISH.compile(
    rf"(?<![\w/])(?:(?:W?PC|DC)(?! (?:World|Comics|Docket|Court|Judge|Circuit|Code|Superior|Bar)\b)|PCSO|DS|DI|DCI|PS(?= \d)|PSI|ASI|Ch/(?:Insp|Supt)|(?:Ch|D)\.? ?Insp|Ofc|Cpl|Cst|Insp|Supt|Tpr|Ptl|S?PO ?\d|Brgy\.? (?:Kgd|Capt)|Kgd|RN|LPN|HCP|Engr?)\.?(?: \d{{1,6}})? ({_WORD}(?: {_WORD})?)(?![\w-])"
)
_SIGNATURE = ENGLISH.compile(rf"(?:/s/|/S/|\bs/)[ \t_]*({NAME})")
_LABEL = ENGLISH.compile(
    rf"(?im)^[ \t]*(?:(?:print(?:ed)? |full |legal |type )?name|by|witness|attorney|signature|from|to|attn|attention|{_ROLE}|reporting officer|prepared by)"
    rf"(?: \d)?[ \t]*:[ \t_]*(?:/s/[ \t]*)?(?-i:(?:{TITLE}\.? )*({NAME}))[ \t]*(?=$|[,(;\t]|  )"
)
# Fields that hold nothing but a name.
_LABEL_ALONE = ENGLISH.compile(
    rf"(?im)^[ \t]*(?:next of kin|nok|(?:any |all )?(?:previous|former|other|maiden|birth|sur|family|given|first|middle|last|fore|christian)[ -]?names?|name of (?:landlord|tenant|child|witness|patient|parent|father|mother|spouse)|emergency contact|(?:witness|child|parent|mother|father|spouse|patient|tenant|landlord|client|claimant|victim|suspect)(?:'s)?(?: full)? name|susp|vict|wit(?: ?\d)?|complainant|caregiver|driver|passenger)(?: \d)?[ \t]*:[ \t_]*"
    rf"(?-i:\"?(?:{TITLE}\.? )*({NAME}))(?=\"?[ \t]*(?:$|[,(;\t|]|  ))"
)
_TRAILING_ROLE = ENGLISH.compile(
    rf"({NAME}),? ?\(?(?:[Pp]resident|Registrar|Deputy Registrar|Section Registrar|Esq\b|ESQ\b|J\.D\.|M\.D\.|Ph\.?D|Q\.?C\.?\b|K\.?C\.?\b|JJ?\.(?=[ ,)]))"
)
_BORN = ENGLISH.compile(
    rf"({NAME})(?:,? (?:\(?(?:born|b\.|aged|age|geboren|geb\.)|\(\")|, (?:an individual|individually|residing|who (?:was|is|lives)))"
)
_PARTY_BLOCK = ENGLISH.compile(
    rf"(?m)^[ \t]*({NAME}(?:(?: and| AND|,| &) {NAME})*),?(?: et al\.?,?)?[ \t)]*(?:[)|:][^\n]{{0,60}})?\n\s*(?:[)|:]\s*)*(?i:{_ROLE})(?:s|\(s\))?(?:[-/ ]\w+)*[.,]?[ \t]*[)|]?[ \t]*$"
)
# "1. ADA ROE     Plaintiff": a party and its role on one line, or one of several in capitals.
_PARTY_LINE = re.compile(
    rf"(?m)^[ \t]*(?:\(?\d{{1,2}}[.)][ \t]*)?(?:{_HONORS}\.? )*(?:\({_HONORS}\.?\) )?({NAME})(?:[ \t]{{3,}}|[ \t]?\.{{3,}}[ \t]*)(?i:{_ROLE})(?:s|\(s\))?(?:[-/ ]\w+)*[.,]?[ \t]*$"
)
_NUMBERED_PARTY = re.compile(
    rf"(?m)^[ \t]*\(?\d{{1,2}}[.)][ \t]*(?=(?:[{UPPER}.'()-]+[ \t]){{1,6}}[{UPPER}'-]+(?:[ \t.]*$|[ \t]*\.{{3,}}|,?[ \t]*\())(?:{_HONORS}\.? )*(?:\({_HONORS}\.?\) )?({NAME})"
)
# "BETWEEN (1) ADA ROE of ... and (2) BO POE"
_NUMBERED_BETWEEN = re.compile(
    rf"\(\d{{1,2}}\)[ \n]((?:[{UPPER}][{UPPER}'-]+[ ]){{1,4}}[{UPPER}][{UPPER}'-]+)(?=,|[ \n](?:of|and|\(|whose|residing|both|trading)\b|[ \n]?\()"
)
_BETWEEN = re.compile(r"(?i)\bbetween\b|\bin the matter\b|\n\s*and\s*\n|\bv(?:s|ersus)?\.?\s")
_BETWEEN_WORD = re.compile(r"(?i)\bbetween\b")
_BETWEEN_BEFORE = 600
# "her son Bruno", "my uncle (Ignacio)": a first name alone.
_KIN = ENGLISH.compile(
    rf"\b(?:(?i:my|his|her|their|our|whose)|(?i:applicant|petitioner|respondent|plaintiff|defendant|claimant|appellant|deceased|complainant|victim|pursuer|defender|tenant|accused|employee)s?'s?|[{UPPER}][{LOWER}{UPPER}]+'s)(?: (?i:late|ex|elder|eldest|older|younger|youngest|only|other|eldest|baby|twin|little|then|former|own))? "
    rf"(?i:(?:step|grand|god|ex-)?-?(?:sons?|daughters?|mother|father|brothers?|sisters?|child(?:ren)?)(?:-in-law)?|wife|husband|kids|boys|girls|twins|babies|uncle|aunt|auntie|nephew|niece|cousin|boyfriend|girlfriend|fiancée?|partner|ex|friend|flatmate|neighbou?r|carer|nanny|bro|sis|mum|mom|dad|nan|gran|granny|grandad|hubby|stepson|stepdaughter|goddaughter|godson|boss|colleague|co-?worker|manager)"
    rf",? \(?({NAME}(?:(?:,| and|, and) {NAME})*)"
)
_KIN_TITLE = ENGLISH.compile(
    rf"\b(?:Uncle|Aunt|Auntie|Aunty|Grandma|Grandpa|Granny|Cousin|Nana|Big|Little) ({NAME})"
)
# "the Roe family", "Ada is my sister", "Bo Poe and Ada his wife".
_KIN_WORD = r"(?:wife|husband|sons?|daughters?|mother|father|brother|sister|uncle|aunt|nephew|niece|cousin|partner|fiancée?|girlfriend|boyfriend|friend|neighbou?r|boss|grand(?:mother|father|son|daughter)|step(?:son|daughter|father|mother)|half-(?:brother|sister)|(?:mother|father|brother|sister)-in-law)"
_RELATED = (
    ENGLISH.compile(
        rf"\b[Tt]he ({_WORD}) (?:family|brothers|sisters|siblings|twins|children|boys|girls|couple|household)\b"
    ),
    ENGLISH.compile(
        rf"(?<![\w'-])({_WORD}),? (?:is|was) (?:my|his|her|our|their) (?:[{LOWER}]+ )?{_KIN_WORD}\b"
    ),
    ENGLISH.compile(rf"\band ({_WORD}),? (?:my|his|her) {_KIN_WORD}\b"),
    # "OFC ROE ARRIVED"
    ENGLISH.compile(
        rf"(?<![\w/-])(?:OFC|DET|SGT|CPL|TPR|PTL|INSP|SUPT|CAPT)\.? ([{UPPER}]{{3,}}(?:-[{UPPER}]+)?)(?![\w-])"
    ),
    # "Paramedic Roe"
    ENGLISH.compile(
        r"(?<![\w'-])(?:Paramedic|Pathologist|Toxicologist|Surgeon|Midwife|Firefighter|Warden|Caseworker|Social Worker|Probation Officer|Interpreter|Headteacher|Foreman|Corporal|Commander|Superintendent|Trooper|Investigator|"
        rf"Bailiff|Usher|Matron|Chaplain|Canon|Brigadier|Councilman|Councilwoman|Mayor|Ranger|Patrolman|Deputy|Dep\.|Landlord|Landlady|Farmer|Neighbou?r|Uncle|Auntie?|Grandma|Grandpa|Nan|Nanna|Skipper|Bosun) ({_WORD})"
    ),
)
# Greetings and signatures.
_GREETED = ENGLISH.compile(
    rf"(?m)^[ \t>]*(?:Dear|Hi|Hello|Hey|HI|DEAR|My dear)(?: there)?,? (?!(?:Sirs?|Madams?|All|Team|Colleagues?|Counsel|Editors?|Customers?|Clients?|Friends?|Judge|Members?|Everyone|Folks|Residents?|Tenants?|Neighbou?rs?|Applicants?|Candidates?|Shareholders?|Employees?)\b)({NAME})(?=[ ]?[,:.!-]|[ \t]*$)"
)
_SIGNED_OFF = ENGLISH.compile(
    rf"(?m)^[ \t>]*(?:Yours (?:sincerely|faithfully|truly|ever)|Yours|(?:Kind|Best|Warm|Kindest|Many)? ?(?:[Rr]egards|[Ww]ishes|[Tt]hanks)|Cheers|Thanks|Love|With love|Sincerely|Respectfully|Your (?:loving |affectionate )?(?:son|daughter|nephew|niece|cousin|friend|brother|sister)),?[ \t]*\n\s{{0,6}}({NAME})[ \t]*(?=\n|\Z|,)"
)
# Whom a note without capitals greets: "jess - pls send".
_GREETED_LOWER = re.compile(
    rf"\A\s*(?:(?:hi|hey|hello|dear|morning|thanks) )?([{LOWER}]{{3,}})(?= ?[,-] |,?\n)"
)
# A child, a patient: "Kayden (b. 2012)".
_BORN_ALONE = ENGLISH.compile(rf"({NAME}) \((?:b\.|born|DOB|d\.o\.b\.|aged|age) ?(?:in |on )?\d")
# Those who attend: "Present: C. Roe (Chair), Mrs P. Poe".
_PRESENT = ENGLISH.compile(
    r"(?im)(?:^|(?<=\. ))[ \t]*(?:present|witness(?:es)?|apologies(?: for absence)?|in attendance|attendees|absent|distribution|circulated to)[ \t]*:([^\n]+)"
)
_ATTENDEE = re.compile(
    rf"(?:(?<=:)|[,;]|\band |(?<=\s)\d{{1,2}}[.)])[ \t]*(?:\d{{1,2}}[.)][ \t]*)?(?:{TITLE}\.? |(?:[A-Z]{{2,4}}\d?|Brgy\.? Kgd\.?) )*((?:[{UPPER}]\. ?){{1,3}}{_WORD}(?: {_WORD})?|{_WORD}(?: {_WORD}){{1,2}})(?=[ \t]*(?:[,;(.\d]|$| and ))"
)
# The cell of a table: "B. Roe"; a label of a hospital or the police: "Pt: ROE, Ada".
_CELL = ENGLISH.compile(rf"[|\t][ \t]*((?:[{UPPER}]\. ?){{1,3}}{_WORD}(?:-{_WORD})?)[ \t]*(?=[|\t\n]|\Z)")
_INVERTED = ENGLISH.compile(
    rf"(?m)^[ \t]*(?:Pt|Pat|Patient|Def|Deft|Clmt|Surname, first name|Name)\.?[ \t]*:[ \t]*({_WORD}(?:[ -]{_WORD})?, {_WORD}(?:[ -]{_WORD})?)"
)
_CAPTION = ENGLISH.compile(
    r"(?m)^[ \t]*(?:CASE OF |In the case of |IN THE CASE OF |Re: |RE: |(?:Short |Case )?(?:Title|Name|Caption): |AFFAIRE )?([^\n]{2,90}?),? (?:v|vs|V|VS)\.? ([^\n]{2,90}?)[,.]?[ \t]*$"
)
_MAIDEN = ENGLISH.compile(
    rf"\b(?:maiden name|née|formerly|nicknamed|alias|surname|nickname)[ ,:]{{1,2}}(?:is |was )?[\"']?({NAME})"
)
# "J.P." in a judgment is somebody whose name the court has reduced to initials.
_INITIALED = ENGLISH.compile(rf"(?<![\w.&-])((?:[{UPPER}]\. ?-?){{2,3}})(?![\w.&/-]| ?[{UPPER}\d(§])")
ABBREVIATIONS = frozenset(
    "US UK EU EC EEC UN SA NV BV LP LLP LLC PC NA PO DC NY AM PM JD MD PHD DOB USA USC CFR PLC ID QC KC FRG GDR RA IE EG PS NB".split()  # noqa: SIM905
)
_HEAD = 3000
_CASE_OF = ENGLISH.compile(rf"(?:[Ii]n the case of|CASE OF) ({NAME}(?: and Others| AND OTHERS)?) v\.")
# The list of a criminal court: "R v Roe (Ada) 01YE1234519".
_PROSECUTED = ENGLISH.compile(
    rf"(?m)^[ \t]*(?:\d{{1,3}}[.)]?[ \t]+)?(?:R|Regina|Rex) (?:v|-v-)\.? ({_WORD}(?:[ -]{_WORD})?)(?: \(({_WORD}(?: {_WORD})?)\))?"
)
_IN_RE = ENGLISH.compile(
    rf"(?m)^[ \t]*(?:In re|IN RE|In the Matter of|IN THE MATTER OF|Estate of|ESTATE OF)(?: the)?:?[ \t]+({NAME})"
)
_SPLIT = re.compile(r",? (?:and|AND|or|OR) | ?& |, ")
_OTHERS = re.compile(r"(?i),? (?:and|&) (?:others?|another)|,? et al\.?|\([^)]*\)")
_NOT_A_PARTY = re.compile(
    rf"\b{SUFFIX}\b|\d|(?i:\b(?:hmrc|dpp|cps|gmc|sra|fca|lgbt|irs|sec|ftc|uscis|ins|state|states|people|united|commonwealth|republic|kingdom|crown|regina|county|city|department|inc|university|bank|council)\b)"
)
_COMMON = (INSTITUTION_WORDS, JURISDICTIONS, LEGAL_FORMS, LEGAL_WORDS, PLACES, TIME_WORDS)
# Words before a name that are not part of it.
_LEADING = FOLDED_TITLES | {"messrs", "hon", "the", "by"}


# (pattern of a name in its context, the group of the name, score, whether a lone word counts)
_IN_CONTEXT: tuple[tuple[Pattern, int, float, bool], ...] = (
    (_TITLED, 2, CHECKED - 0.05, True),
    (_ROLED, 1, SHAPED, False),
    (_ROLED_FULL, 1, SHAPED, False),
    (_CALLED, 1, SHAPED, False),
    (_TRAILING_ROLE, 1, SHAPED, False),
    (_BORN, 1, SHAPED, False),
    (_LABEL, 1, LABELED, False),
    (_SIGNATURE, 1, CHECKED - 0.05, True),
    (_IN_RE, 1, SHAPED, False),
    (_PROSECUTED, 1, SHAPED, True),
    (_PROSECUTED, 2, SHAPED, True),
    (_UNDERSIGNED, 1, SHAPED, False),
    (_LATE, 1, SHAPED, False),
    (_MAIDEN, 1, SHAPED, True),
    (_KIN, 1, SHAPED, True),
    (_KIN_TITLE, 1, SHAPED, True),
    (_GREETED, 1, SHAPED, True),
    (_SIGNED_OFF, 1, SHAPED, True),
    (_BORN_ALONE, 1, SHAPED, True),
    (_LABEL_ALONE, 1, LABELED, True),
    (_CELL, 1, SHAPED, False),
)
_COLUMN = re.compile(r"(?<=\w) {2,}(?=\w)")
# (pattern of a caption, the groups of its parties)
_CAPTIONS = ((_PARTY_BLOCK, (1,)), (_CASE_OF, (1,)), (_CAPTION, (1, 2)))


class EnglishPersonRecognizer(RuleRecognizer):
    """Names of people by the words around them, in English and languages that write names alike."""

    NAME = "PersonRecognizer"
    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        for pattern, group, score, single in _IN_CONTEXT:
            for match in pattern.finditer(text):
                if match.group(group):
                    yield from split_names(text, *match.span(group), score, single=single)
        for match in _INVERTED.finditer(text):
            yield Finding(*match.span(1), "PERSON", SHAPED)
        yield from _find_called(text)
        for match in _PRESENT.finditer(text):
            for one in _ATTENDEE.finditer(text, *match.span(1)):
                yield from split_names(text, *one.span(1), SHAPED, single=False)
        for match in _INITIALED.finditer(text):
            initials = match.group().rstrip(" -")
            if re.sub(r"[^\w]", "", initials) not in ABBREVIATIONS:
                yield Finding(match.start(), match.start() + len(initials), "PERSON", GUESSED + 0.1)
        yield from _find_captions(text)


def _find_called(text: str) -> Iterator[Finding]:
    """Yield whom a note greets without capitals, whose estate it is, and names after ranks."""
    greeted = _GREETED_LOWER.match(text)
    if greeted and is_given_name(greeted.group(1)):
        yield Finding(*greeted.span(1), "PERSON", SHAPED)
    for match in _OF_SOMEBODY.finditer(text):
        # In Scotland, a married woman has both names: "ADA ROE or POE".
        both = _OR.search(match.group(1)) is not None
        yield from split_names(text, *match.span(1), SHAPED, single=both)
    for pattern in _RELATED:
        for match in pattern.finditer(text):
            if not _is_common(match.group(1)) and not is_ordinary(match.group(1).casefold()):
                yield Finding(*match.span(1), "PERSON", SHAPED)
    for match in _RANKED.finditer(text):
        if not _is_common(match.group(1)):
            yield from split_names(text, *match.span(1), SHAPED, single=True)


def _find_captions(text: str) -> Iterator[Finding]:
    if _BETWEEN.search(text, 0, _HEAD):
        for pattern in (_PARTY_LINE, _NUMBERED_PARTY):
            for match in pattern.finditer(text, 0, _HEAD):
                yield from _find_parties(text, *match.span(1))
    for match in _NUMBERED_BETWEEN.finditer(text, 0, _HEAD):
        if _BETWEEN_WORD.search(text, max(0, match.start() - _BETWEEN_BEFORE), match.start()):
            yield from _find_parties(text, *match.span(1))
    for pattern, groups in _CAPTIONS:
        for match in pattern.finditer(text):
            for group in groups:
                start, end = match.span(group)
                # A cell of a list of hearings: "R v Roe, Ada    For Sentence".
                gap = _COLUMN.search(text, start, end) if group == 2 else None
                yield from _find_parties(text, start, gap.start() if gap else end)


def split_names(text: str, start: int, end: int, score: float, *, single: bool) -> Iterator[Finding]:
    """Yield the names of a list; a lone word only if `single`, since a role is often followed by a verb."""
    last = start
    pieces: list[tuple[int, int]] = []
    for separator in _SPLIT.finditer(text, start, end):
        pieces.append((last, separator.start()))
        last = separator.end()
    pieces.append((last, end))
    for piece_start, piece_end in pieces:
        trimmed = trim_name(text, piece_start, piece_end, titled=single)
        if (
            trimmed
            and (single or " " in text[trimmed[0] : trimmed[1]])
            and not _is_shouted(text[slice(*trimmed)])
        ):
            yield Finding(*trimmed, "PERSON", score)


def _is_shouted(name: str) -> bool:
    """Return True for ordinary words in capitals."""
    return name.isupper() and all(
        is_ordinary(word.strip(_EDGE).casefold()) for word in re.split("[ -]", name)
    )


def _find_parties(text: str, start: int, end: int) -> Iterator[Finding]:
    others = _OTHERS.search(text, start, end)
    if others:
        end = others.start()
    if _NOT_A_PARTY.search(text, start, end) or text[start:end].strip().lower() in JURISDICTIONS:
        return
    for party in split_names(text, start, end, SHAPED, single=True):
        if text[party.start : party.end].lower() not in JURISDICTIONS:
            yield party


_TOKEN = re.compile(r"[^\s]+")
_EDGE = " \t\n,.;:()[]\"'-_/*•|&"


def trim_name(text: str, start: int, end: int, *, titled: bool = False) -> tuple[int, int] | None:
    """Return the range of the name inside [start, end), or None if there is none.

    Titles before the name and words of drafting before and after it are cut off.

    Args:
        text: normalized text.
        start: where the name and the words around it begin.
        end: where they end.
        titled: whether a title precedes [start, end), so that a lone word such as "Bond" can be a name.
    """
    tokens = [match.span() for match in _TOKEN.finditer(text, start, end)]
    words = [_bare(text[first:last]) for first, last in tokens]
    first = _first_word(words, titled=titled)
    last = _last_word(words, first)
    return _strip_edges(text, tokens[first][0], tokens[last - 1][1]) if first < last else None


def _bare(token: str) -> str:
    return token.strip(_EDGE).removesuffix("'s")


def _first_word(words: Sequence[str], *, titled: bool) -> int:
    """Return the index of the first word that is neither a title nor a word of drafting."""
    for index, word in enumerate(words):
        folded = word.lower()
        if folded in _LEADING:
            continue
        alone = index + 1 == len(words) or _is_drafting(words[index + 1])
        may_name = folded in AMBIGUOUS_NAMES and (titled or not alone)
        if may_name or not _is_drafting(word):
            return index
    return len(words)


def _last_word(words: Sequence[str], first: int) -> int:
    """Return the index after the name's last word: the name ends before drafting and small words."""
    last = len(words)
    for index in range(first + 1, len(words)):
        word = words[index]
        if word in GENERATIONS:
            continue
        if _is_drafting(word) and (word.islower() or word.lower() not in AMBIGUOUS_NAMES):
            last = index
            break
    while last > first and not any(map(str.isupper, words[last - 1])):
        last -= 1
    return last


def _strip_edges(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return [start, end) without punctuation, but with the period of a last initial; None without letters."""
    while start < end and text[start] in _EDGE:
        start += 1
    while start < end and text[end - 1] in _EDGE and not (text[end - 1] == "." and text[end - 2].isupper()):
        end -= 1
    if text[start:end].endswith("'s"):
        end -= 2
    return (start, end) if any(map(str.isalpha, text[start:end])) else None


def _is_common(name: str) -> bool:
    """Return True if a word of a name is one of law, place, time or an institution."""
    return any(word.casefold() in known for word in re.split("[ -]", name) for known in _COMMON)


def _is_drafting(word: str) -> bool:
    return len(word) > 1 and (word.lower() in LEGAL_WORDS or word.isdigit())


def is_a_name(text: str, start: int, end: int) -> bool:
    """Return True if a span that a model calls a name can be one."""
    name = text[start:end]
    words = name.split()
    if any(c.isdigit() for c in name) or not name[0].isupper() or len(name) < 3 or len(words) > 6:
        return False
    if name.lower() in JURISDICTIONS or is_in_heading(text, start, end):
        return False
    # A short word of capitals is an abbreviation.
    return not (name.isupper() and len(words) == 1 and len(name) <= 4)


def is_in_heading(text: str, start: int, end: int) -> bool:
    """Return True if the span is part of a line of capitals with four or more words."""
    if not text[start:end].isupper():
        return False
    line = find_line(text, start, end)
    return line.isupper() and len(line.split()) >= 4
