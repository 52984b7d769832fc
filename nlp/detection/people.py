"""People that a learned detector mistakes for something else, and words that it mistakes for numbers.

It decides that a word must be masked far more reliably than which type the word has: a surname becomes a
company, a nickname a people. The document itself often shows the type.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from lexveil.nlp.detection.overlaps import enters
from lexveil.nlp.entities.evidence import shows_type
from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import HAN, LOWER, UPPER, has_han
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.person_continental import CuedPersonRecognizer, is_word_of_documents
from lexveil.nlp.recognizers.scores import LEARNED, SHAPED
from lexveil.nlp.text import Span, find_line
from lexveil.nlp.vocabulary import (
    COURTESY_TITLES,
    FOLDED_GENERATIONS,
    FORM_LABELS,
    INSTITUTION_WORDS,
    JURISDICTIONS,
    LEGAL_WORDS,
    OFFICE_TITLES,
    PLACES,
    TIME_WORDS,
)

_NO_NAMES = LEGAL_WORDS | JURISDICTIONS
_MISTAKABLE = frozenset({"ORGANIZATION", "LOCATION", "ADDRESS", "DEMOGRAPHIC", "MISC", "QUANTITY"})
_NAMES = frozenset({"PERSON", "ORGANIZATION"})
_PLACEABLE = _NAMES | {"LOCATION", "ADDRESS"}
_PARTICLES = (
    "van|von|vom|zu|zum|zur|der|den|dem|de|del|della|dei|di|da|das|do|dos|du|des|la|le|ter|ten|bin|bint|ibn|"
    "al|el|y|e|af|av|ap|t|d"
)
_SMALL_WORDS = frozenset(_PARTICLES.split("|"))
_LIKELY = 0.5
_LINE = 4  # words: a shorter line may be a caption with a name
_CAPITAL = re.compile(r"[a-z] [A-Z]")
_WORD = re.compile(r"[^\W\d_]+")
_FAMILY = re.compile(rf"(?:\A|[\n\t|] ?)((?:(?:de|van|von|di|da|le|el) )?[{UPPER}][\w'-]+), \Z")
_LONGEST_FAMILY = 40
_KNOWN_PLACES = PLACES | JURISDICTIONS
# What a first name may be of that is no surname: "Ana do Tribunal".
_NO_SURNAMES = (LEGAL_WORDS, _KNOWN_PLACES, FORM_LABELS, TIME_WORDS, INSTITUTION_WORDS)
_GREETINGS = frozenset("best cheers dear hello hi kind love regards sincerely thanks warmly yours".split())  # noqa: SIM905
_NO_FAMILY = (LEGAL_WORDS, JURISDICTIONS, PLACES, FORM_LABELS, TIME_WORDS, _GREETINGS)
_THING = re.compile(
    r"\b(?:Exhibits?|Schedule|Annex|Appendix|Part|Class|Grade|Block|Tab|Level|Form|Category|Plot|Lot|Unit) \Z"
)
# The left knee, not Mr Zuo: 左 is also a surname.
_SIDE = re.compile(r"左[膝手脚腳腿眼臂肩耳侧側边邊右上下前后後肘踝腕肺肾腎乳脑腦额額面拇食中小大髋髖]")
# A role before a first name, taken for a company: "Union rep Ada".
_ROLE_AND_NAME = re.compile(
    rf"([{UPPER}][{LOWER}]+) (?!(?:of|and|for|the|de|la|le|du|des|von|van|und|et|y|e|di)\b)[{LOWER}]{{2,}} "
    rf"([{UPPER}][{LOWER}]+)\W*\Z"
)
_NAME_WORDS = 5
# "Ada W" and what follows to the end of the cell, the line or the item of a list.
_LAST_INITIAL = re.compile(rf"[{LOWER}] [{UPPER}]\.?\Z")
_SURNAME = re.compile(rf"\.? ([{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]+)?)(?=[\t\n,;)|]|\Z)")
_WITH_INITIALS = re.compile(
    rf"(?:[{UPPER}][{LOWER}]{{2,}} )?(?:[{UPPER}]\.[ -]?){{1,3}}[{UPPER}][{LOWER}]{{2,}}"
    rf"(?:-[{UPPER}][{LOWER}]+)?"
)
_TITLED = re.compile(rf"(?i:\b(?:{'|'.join((*COURTESY_TITLES, *OFFICE_TITLES))})\.? )\Z")
_LONGEST_TITLE = 24
# A title that the detector took for a part of the name.
_LEADING = re.compile(
    r"(?:(?:(?:Herrn?|Frau|Fräulein|Eheleute|Monsieur|Madame|Mademoiselle|Mevrouw|Shri|Sri|Kumari|Sardar)|"
    r"(?:Mmes?|Mlles?|MM|Mr|Mrs|Ms|Dr|Smt|Mst|Kum|Sh|Sra?|Sig)\.?) )+(?=[^\W\d_])"
)
# "M." before a surname in French, where no first name stands before it.
_MONSIEUR = re.compile(r"MM?\. (?=[^\W\d_]{2})")
# The rest of a double name: "Tahir-wala", not "Tahir-led"; of a name that a line end cuts: "Abercrom-\nbie".
_REST = re.compile(
    r"-(?!(?:led|based|owned|born|style|type|like|related|era)\b)[^\W\d_]+(?:-[^\W\d_]+)*(?![\w@])"
    r"|-?(?<=-)\n[ \t]*[^\W\d_]{2,}(?![\w@])"
    rf"| (?:van(?: de[nr]?)?|ter|ten) [{UPPER}][{LOWER}]+"
)
# A surname with a particle, after a first name that was found without it.
_SURNAME_PART = re.compile(
    rf" (?:van (?:de[nr]?|het|'t)|d[ao]s?|del|dell[ao]|de l[ao]s?|du) ([{UPPER}][{LOWER}]+)(?![\w-])"
)
_PARTICLED = frozenset({"es", "fr", "it", "nl", "pt"})
# A surname on the next line, after a first name within a sentence: "said that Ada\nRoe had left".
_NEXT_LINE = re.compile(rf"\n[{UPPER}][{LOWER}]+(?= [{LOWER}])")
_WITHIN_LINE = re.compile(rf"[{LOWER}],? \Z")
_NOUNS = frozenset({"de", "lb"})  # languages that capitalize all nouns
# Where the detector runs over the end of a sentence: "Roe. Poe left".
_SENTENCE_END = re.compile(rf"(?<=[{LOWER}]{{3}})[.!?;][ \n]+(?=[{UPPER}])")
# Where it runs over a verb, or from Latin letters into Chinese: "Ada left Port Roe", "Roe 称".
_VERB_WITHIN = re.compile(
    rf"(?<=[{LOWER}]) (?!(?:{_PARTICLES}) )(?:[a-z]+ed|left|took|gave|said|told|met|saw|went|came|"
    rf"got|was|is|has|had|then|that|from|with|to|at|in|on|by) (?=[{UPPER}])"
)
_HAN_AFTER_LATIN = re.compile(f" ?(?=[{HAN}])")
# The article of an Arabic surname: "Omar al-Hassan".
_ARTICLE = re.compile(r"(?<![\w-])(?:[Aa][dlnrstz]|[Ee]l|[Uu]l|[Ii]bn|[Bb]in|[Aa]bu)-\Z")
_LAST_WORD = re.compile(r"[^\W\d_]+\Z")
# Pronouns, which no German name contains: a detector takes "Kannten Sie" for one. But "van Es" is Dutch.
_PRONOUNS = frozenset(
    """
    Sie Ihnen Ihr Ihre Ihren Ihrem Ihrer Ich Mein Meine Meinen Meinem Meiner Dein Deine Sein Seine
    Unser Unsere Wir Es
    """.split()  # noqa: SIM905
)
_DOCUMENT = re.compile(
    rf"[{UPPER}][{LOWER}]*(?:vermerk|befehl|protokoll|vertrag|bescheid|schreiben|zeugnis|gutachten|beschluss|urteil|anzeige|erklärung|vollmacht|"
    r"rechnung|mahnung|kündigung|antrag|klage|verfügung|vernehmung|niederschrift|bericht|testament)"
)
# A handle begins the next line: "Ada Roe\nbo.poe 10:02".
_HANDLE = r"\n(?=@?[^\W\d_]{2,}[._][^\W\d_]{2})"
_CELL_EDGE = re.compile(rf"[|\t]|[^\n] {{2,}}(?=[^\s|])|{_HANDLE}")
_CELL = re.compile(rf"[^\s|](?:(?:[^|\t\n ]| (?! )|(?<=\n) |(?!{_HANDLE})\n)*[^\s|])?")
_CONNECTIVES = frozenset("and or the of for und oder et y e i".split())  # noqa: SIM905
_TITLES = frozenset(title.casefold() for title in (*COURTESY_TITLES, *OFFICE_TITLES))
# What captions and headers of pages say beside a name, and not as one.
_NOBODY = frozenset(
    {"approved", "appellant", "appellants", "appellee", "respondent", "respondents", "solicitors"}
)
_HEADINGS = _NOBODY | {"clerk", "warden", "decl", "depo", "aff"}
# "Thistle, Justice", "Roe's Approach", "Poe Decl".
_AFTER_NAME = re.compile(
    rf",\s+((?:Chief |Associate |Presiding )?(?:Justice|Judge))\Z|['’]s? [{UPPER}][{LOWER}]+\Z|"
    r"\s(?:Decl|Depo|Aff)\.?\Z"
)
_PARTIES = "plaintiff|defendant|claimant|applicant|appellant|appellee|respondent|petitioner|complainant"
# What is no part of a name at its edges: words in lower case, parties in a caption.
_FIRST_WORDS = re.compile(rf"(?:(?!(?:{_PARTICLES})\b)[{LOWER}]{{2,}}\s+)+(?=[{UPPER}])")
_GREETING = re.compile(
    r"(?:(?:mit )?(?:freundlich|best|viel|lieb|herzlich|schön)e[nmr]? (?:Grü(?:ß|ss)en?|Gruß)|"
    r"(?:kind|best|warm)(?:est)? (?:regards|wishes)|"
    r"regards|thanks|cheers|cordialement|saludos|pozdrawiam),?\s+(?=[^\W\d_])",
    re.IGNORECASE,
)
_LAST_WORDS = re.compile(
    rf"(?:\s+(?![js]r\b)[{LOWER}]{{2,}}|[\s,:-]+(?i:{_PARTIES})s?)+[\s,.:-]*\Z|(?<=[{LOWER}]{{3}})[.,;:]+\Z"
)
# What a German court is asked for, after the name of whom it is asked from: "von Ada Roe Schadensersatz".
_CLAIM = re.compile(
    r"\s(?:Schadens?ersatz|Schmerzensgeld|Herausgabe|Rückgabe|Unterlassung|(?:Rück)?[Zz]ahlung|Auskunft|Unterhalt|Räumung|Vergütung|"
    r"Feststellung|Ersatz|Wertersatz|Zustimmung|Abfindung|Urlaub)\Z"
)
# The parts of a double-barrelled name beside the one that was found: "Roe-" of "Roe-Poe", "O'" of "O'Roe".
_PARTS_BEFORE = re.compile(rf"(?<![\w'.-])(?:(?:[{UPPER}][^\W\d_]+-)+|(?:[ODÓ]|Mc|Mac)')\Z")
_PARTS_AFTER = re.compile(rf"(?:-[{UPPER}][^\W\d_]+)+(?!\w)")
_LONGEST_PARTS = 48
_PREFIXES = frozenset("non anti pro ex pre post co inter intra trans mid vice sub all self pan".split())  # noqa: SIM905
_LOWER_ARTICLE = re.compile(rf"(?:the|de|het|der|die|das|la|le|les|el|los|las|il|lo|gli|o|os) (?=[{UPPER}])")
_OF_STATE = re.compile(r"(?i)(?:(?:of|the|state|commonwealth|people)\s+)+")
_CLOSING = re.compile(r" ?[\"»]")
_QUOTED_FIRST = re.compile(rf"[\"«] ?([{UPPER}][{LOWER}'’]* )\Z")
_LONGEST_QUOTED = 14
_SAYS = re.compile(rf" [{LOWER}]")
# Between two parts of one name on one line.
_JOINT = re.compile(r"[ -]|(?: [A-Z]\.)? ")


def retype_people(text: str, spans: Sequence[Span], written: str = "", language: str = "") -> list[Span]:
    """Return the spans with type PERSON for those of a learned detector that must be people.

    These are names without any sign of their type that follow a title, stand beside a part of a person's
    name, consist of words of people's names, or are written in lower case.

    Args:
        text: normalized text.
        spans: its sorted spans, without overlaps.
        written: the text as it was before passages without capitals got some; by default the same.
        language: ISO 639-1 code of the text, or "".
    """
    spans = [_widen_quoted(text, _place_state(text, span)) for span in spans if not _is_no_name(text, span)]
    spans = list(_find_companies(text, spans))
    names = {
        word
        for span in spans
        if span.type == "PERSON"
        for word in _find_words(text, span)
        if word[0].isupper() and len(word) > 2 and word.lower() not in _NO_NAMES
    }
    result: list[Span] = []
    for index, span in enumerate(spans):
        before = result[-1] if result else None
        after = spans[index + 1] if index + 1 < len(spans) else None
        words = _find_words(text, span)
        if _may_be_person(text, span) and (
            _are_all_known(words, names)
            or _begins_with_given_name(text, span)
            or _WITH_INITIALS.fullmatch(text, span.start, span.end)
            or _TITLED.search(text, max(0, span.start - _LONGEST_TITLE), span.start)
            or _continues(text, before, span)
            or _continues(text, span, after)
            or (written and written[span.start : span.end] != text[span.start : span.end])
        ):
            span = replace(span, type="PERSON")
        if language in _PARTICLED and _is_named_like_place(text, before, span, after):
            span = replace(span, type="PERSON")
        if span.type == "PERSON":
            title = _LEADING.match(text, span.start, span.end) or (
                _MONSIEUR.match(text, span.start, span.end) if language == "fr" else None
            )
            rest = (
                _REST.match(text, span.end)
                or _find_surname_part(text, span, language)
                or _find_next_line(text, span, language)
            )
            start, end = title.end() if title else span.start, rest.end() if rest else span.end
            if text.endswith(" I", start, end) and _SAYS.match(text, end):  # "tell Ada I said so"
                end -= 2
            family = (
                _find_family_name(text, span, before) if span.recognizer == LEARNED and not title else None
            )
            article = _ARTICLE.search(text, max(0, start - 4), start)
            start = article.start() if article else start
            start = start if family is None else family
            span = replace(span, start=start, end=end)
        result.append(span)
    return result


def widen_people(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans with the whole names of people that a rule or a learned detector sees in part.

    A word that is also a title or a place may be missed after an initial: "Ada W. Lord" in a list or a cell.

    Chinese has no spaces, so both may miss the end of a name. A rule's name that a learned one overlaps gets
    the characters of both, unless the latter overlaps several: then the rules tell people apart.
    """
    named = [span for span in spans if span.type == "PERSON" and has_han(text[span.start : span.end])]
    rules = sorted({(span.start, span.end) for span in named if span.recognizer != LEARNED})
    starts = [start for start, _ in rules]
    longest = max((end - start for start, end in rules), default=0)
    widened: dict[tuple[int, int], tuple[int, int]] = {}
    for span in named:
        if span.recognizer == LEARNED:
            around = rules[bisect_left(starts, span.start - longest) : bisect_left(starts, span.end)]
            touched = [(start, end) for start, end in around if end > span.start]
            first = min((start for start, _ in touched), default=0)
            last = max((end for _, end in touched), default=0)
            # Readings of one name by several rules share its beginning.
            if len({start for start, _ in touched}) == 1:
                for one in touched:
                    widened[one] = min(first, span.start), max(last, span.end)
    return [
        replace(span, start=position[0], end=position[1])
        if span.type == "PERSON" and (position := widened.get((span.start, span.end)))
        else _add_surname(text, span)
        for span in spans
    ]


def _add_surname(text: str, span: Span) -> Span:
    """Return a person that ends with an initial with the surname after it, at the end of a cell or line."""
    if span.type != "PERSON" or not _LAST_INITIAL.search(text[span.start : span.end]):
        return span
    surname = _SURNAME.match(text, span.end)
    if surname and surname[1].casefold() not in FORM_LABELS and surname[1] not in OFFICE_TITLES:
        return replace(span, end=surname.end())
    return span


def complete_people(
    text: str, spans: Sequence[Span], law: Sequence[tuple[int, int]], language: str
) -> list[Span]:
    """Return the spans with each person's double-barrelled name whole: all of "Roe-Poe", where Poe was found.

    Args:
        text: normalized text.
        spans: its sorted spans, without overlaps.
        law: citations, which no name enters.
        language: ISO 639-1 code of the text, or "": a language that capitalizes its nouns also joins them to
            names ("Roe-Gutachten").
    """
    result: list[Span] = []
    for index, span in enumerate(spans):
        if span.type == "PERSON" and not has_han(text[span.start : span.end]):
            least = max(result[-1].end if result else 0, span.start - _LONGEST_PARTS)
            most = spans[index + 1].start if index + 1 < len(spans) else len(text)
            before = _PARTS_BEFORE.search(text, least, span.start)
            after = None if language in _NOUNS else _PARTS_AFTER.match(text, span.end, most)
            start = before.start() if before and _are_name_parts(before.group()) else span.start
            end = after.end() if after and _are_name_parts(after.group()) else span.end
            if (start, end) != (span.start, span.end) and not enters(start, end, law):
                span = replace(span, start=start, end=end)
        result.append(span)
    return result


def _are_name_parts(parts: str) -> bool:
    words = parts.strip("-").casefold().split("-")
    return not any(word in known for word in words for known in (_NO_NAMES, _PREFIXES, PLACES, FORM_LABELS))


def drop_contradicted(text: str, spans: Iterable[Span], language: str = "") -> list[Span]:
    """Return the spans without the findings of a learned detector that their own letters contradict.

    A name has a capital, in a text that has any. In a line of capitals, where these prove nothing, a quantity
    has a digit or a word for a number.

    Args:
        text: normalized text.
        spans: findings in any order.
        language: ISO 639-1 code of the text, or "".
    """
    has_capitals = _CAPITAL.search(text) is not None
    pronouns = _PRONOUNS if language in _NOUNS or not language else frozenset[str]()
    return [span for span in spans if not _is_contradicted(text, span, has_capitals, pronouns)]


def split_people(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans with those of a learned detector cut to names: "Ada Roe. Poe" is two.

    Args:
        text: normalized text.
        spans: findings in any order.
    """
    return [part for span in spans for part in _split_sentences(text, span)]


def trim_people(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans with people without what stands after a name: offices, headings, what somebody has.

    What is a word of headings alone is dropped: "Approved" of "Approved Judgment".
    """
    trimmed = [
        _trim_end(text, span) if span.type == "PERSON" and not has_han(text[span.start : span.end]) else span
        for span in spans
    ]
    return [span for span in trimmed if not (span.type == "PERSON" and _is_nobody(text, span))]


def _is_nobody(text: str, span: Span) -> bool:
    titled = _TITLED.search(text, max(0, span.start - _LONGEST_TITLE), span.start)
    return text[span.start : span.end].casefold() in _NOBODY and not titled


def split_cells(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans with those of a learned detector cut at the edges of cells: "Roe | Poe" is two.

    Args:
        text: normalized text.
        spans: findings in any order.
    """
    return [cell for span in spans for cell in _split_cells(text, span)]


def _is_no_name(text: str, span: Span) -> bool:
    """Return True for a title or an "and" alone, which a detector takes for a part of the name beside it."""
    if span.recognizer != LEARNED or span.type not in _NAMES:
        return False
    word = text[span.start : span.end].rstrip(".")
    if word.casefold() in FOLDED_GENERATIONS:  # "Ada Roe, Jr."
        return True
    return word in _CONNECTIVES or (word[:1].isupper() and word.casefold() in _TITLES)


def _split_cells(text: str, span: Span) -> Iterator[Span]:
    """Yield the parts of a learned span in the cells of a table."""
    if span.recognizer != LEARNED or not _CELL_EDGE.search(text, span.start, span.end):
        yield span
        return
    for cell in _CELL.finditer(text, span.start, span.end):
        yield replace(span, start=cell.start(), end=cell.end())


def _split_sentences(text: str, span: Span) -> Iterator[Span]:
    """Yield the names in a learned one, which may run over the end of a sentence or into other words."""
    role = _ROLE_AND_NAME.match(text, span.start, span.end) if span.type == "ORGANIZATION" else None
    if role and is_ordinary(role.group(1).casefold()) and is_given_name(role.group(2).casefold()):
        yield replace(span, start=role.start(2), end=role.end(2), type="PERSON")
        return
    named = span.type == "PERSON" or (span.type == "ORGANIZATION" and _begins_with_given_name(text, span))
    if span.recognizer != LEARNED or not named:
        yield span
        return
    # In Chinese, a sentence may go on after a name in Latin letters.
    inner = _HAN_AFTER_LATIN.search(text, span.start, span.end) if text[span.start] < "\u0250" else None
    span = replace(span, end=inner.start()) if inner else span
    verb = _VERB_WITHIN.search(text, span.start, span.end)
    if verb:
        yield from _split_sentences(text, replace(span, end=verb.start()))
        span = replace(span, start=verb.end())
    start = span.start
    for end in _SENTENCE_END.finditer(text, span.start, span.end):
        word = _LAST_WORD.search(text, start, end.start())
        if word and word.group().casefold() not in _TITLES:
            yield _trim_edges(text, replace(span, start=start, end=end.start()))
            start = end.end()
    yield _trim_edges(text, replace(span, start=start))


def _trim_edges(text: str, span: Span) -> Span:
    greeting = _GREETING.match(text, span.start, span.end)
    span = replace(span, start=greeting.end()) if greeting else span
    first = (
        _FIRST_WORDS.match(text, span.start, span.end) if text[span.start - 1 : span.start] != "\n" else None
    )
    start = first.end() if first else span.start
    label = text.rfind("\n", start, span.end) if text[span.end : span.end + 1] == ":" else -1
    if label > start:  # the next line begins with a label
        return replace(span, start=start, end=label)
    claim = _CLAIM.search(text, start + 1, span.end)
    span = replace(span, end=claim.start()) if claim else span
    last = _LAST_WORDS.search(text, start + 1, span.end)
    return replace(span, start=start, end=last.start() if last else span.end)


def _trim_end(text: str, span: Span) -> Span:
    """Return a span without what follows a name: the line of a heading, an office, what somebody has."""
    end = text.rfind("\n", span.start, span.end)
    # A surname on the next line may be any word: only what headings say is cut.
    if end > 0 and all(word.casefold() in _HEADINGS for word in _WORD.findall(text, end, span.end)):
        return _trim_end(text, replace(span, end=end))
    rest = _AFTER_NAME.search(text, span.start + 1, span.end)
    if rest and (rest[1] or _is_no_part(_WORD.findall(rest.group())[-1])):
        return replace(span, end=rest.start())
    return span


def _is_no_part(word: str) -> bool:
    folded = word.casefold()
    return folded in _HEADINGS or (is_ordinary(folded) and not is_given_name(folded))


def _is_contradicted(text: str, span: Span, has_capitals: bool, pronouns: Set[str]) -> bool:
    if span.recognizer != LEARNED:
        return False
    if span.type in _NAMES and any(word in pronouns for word in _find_words(text, span)):
        return True
    if _is_label(text, span) or _is_document(text, span) or _SIDE.match(text, span.start, span.end):
        return True
    if span.type == "QUANTITY":
        line = find_line(text, span.start, span.end)
        return line.isupper() and len(line.split()) >= _LINE and not shows_type(text, span)
    surface = text[span.start : span.end]
    if span.type in _NAMES and not any(map(str.isalnum, surface)):  # the rule below the head of a table
        return True
    # The second half of a hyphenated name begins a line in lower case.
    follows_space = text[max(0, span.start - 1) : span.start] in ("", " ")
    lower = follows_space and surface.islower() and not any(c.isdigit() for c in surface)
    return span.type in _NAMES and lower and has_capitals


def _find_surname_part(text: str, span: Span, language: str) -> re.Match[str] | None:
    """Return the surname with a particle after a first name alone: "Ada da Roe"."""
    if language not in _PARTICLED or not is_given_name(text[span.start : span.end].casefold()):
        return None
    rest = _SURNAME_PART.match(text, span.end)
    if rest is None or is_word_of_documents(rest[1]):
        return None
    return None if any(rest[1].casefold() in words for words in _NO_SURNAMES) else rest


def _find_companies(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans; whom only the context shows is a company if the detector finds one of that name."""
    companies = {
        word
        for span in spans
        if span.recognizer == LEARNED and span.type == "ORGANIZATION" and span.score >= _LIKELY
        for word in _find_words(text, span)
    }
    for span in spans:
        guessed = span.recognizer == CuedPersonRecognizer.__name__ and span.score < SHAPED
        company = guessed and companies.issuperset(_find_words(text, span))
        yield replace(span, type="ORGANIZATION") if company else span


def _is_named_like_place(text: str, before: Span | None, span: Span, after: Span | None) -> bool:
    """Return True for somebody whose first name or surname is also a place: "Ada Paris", "Santiago Roe"."""
    if span.recognizer != LEARNED or span.type != "LOCATION":
        return False
    words = [word.casefold() for word in _find_words(text, span)]
    if len(words) == 2:
        known = words[0] in _KNOWN_PLACES or words[1] in PLACES
        return known and is_given_name(words[0]) and words[1] not in JURISDICTIONS
    if len(words) != 1:
        return False
    if before and before.type == "PERSON" and text[before.end : span.start] == " ":
        return is_given_name(text[before.start : before.end].casefold())
    beside = after is not None and after.type == "PERSON" and text[span.end : after.start] == " "
    return beside and is_given_name(words[0])


def _find_next_line(text: str, span: Span, language: str) -> re.Match[str] | None:
    """Return the surname on the next line after a first name alone, in running text."""
    if language in _NOUNS or not is_given_name(text[span.start : span.end].casefold()):
        return None
    within = _WITHIN_LINE.search(text, max(0, span.start - 3), span.start)
    return _NEXT_LINE.match(text, span.end) if within else None


def _find_family_name(text: str, span: Span, before: Span | None) -> int | None:
    """Return the start of a surname before the first name in the cell of a table: "Roe, Ada"."""
    if text[span.end : span.end + 1] not in ("\t", "\n", "|", ""):
        return None
    family = _FAMILY.search(text, max(0, span.start - _LONGEST_FAMILY), span.start)
    if family is None or (before and before.end > family.start(1)):
        return None
    words = family.group(1).casefold().split()
    return None if any(word in known for word in words for known in _NO_FAMILY) else family.start(1)


def _is_document(text: str, span: Span) -> bool:
    """Return True for the title of a German document, a noun: "Aktenvermerk"."""
    return span.type == "PERSON" and _DOCUMENT.fullmatch(text, span.start, span.end) is not None


def _is_label(text: str, span: Span) -> bool:
    """Return True for the label of a field ("Narrative: ..."), and for a thing's number ("Exhibit C")."""
    if span.end - span.start == 1:
        return _THING.search(text, max(0, span.start - 12), span.start) is not None
    if text[span.end : span.end + 1] != ":" and text[span.end - 1] != ":":
        return False
    return text[span.start : span.end].rstrip(":").casefold() in FORM_LABELS


def _are_all_known(words: Iterable[str], names: Set[str]) -> bool:
    """Return True if all words that prove something are those of known names: not the first of "St John"."""
    long = [word for word in words if len(word) > 2 and word not in _SMALL_WORDS]
    return bool(long) and all(word in names for word in long)


def _begins_with_given_name(text: str, span: Span) -> bool:
    words = _find_words(text, span)
    named = bool(words) and span.type in _NAMES and is_given_name(words[0].casefold())
    # A first name alone is nobody's if the text says whose: "Sandeep's lads".
    return named and (len(words) > 1 or text[span.end : span.end + 2] in ("'s", "’s"))


def _place_state(text: str, span: Span) -> Span:
    """Return a state that a detector found as a place, whatever it took it for; names lose articles.

    "OF THE NORTH CAROLINA" is one. "Georgia" alone may be somebody.
    """
    if span.recognizer not in (LEARNED, "PersonRecognizer") or span.type not in _PLACEABLE:
        return span
    article = _LOWER_ARTICLE.match(text, span.start, span.end) if span.type != "PERSON" else None
    if article:  # "woont aan de Oude Gracht"
        return replace(span, start=article.end())
    before = _OF_STATE.match(text, span.start, span.end)
    start = before.end() if before else span.start
    words = [word.casefold() for word in _WORD.findall(text, start, span.end)]
    if " ".join(words) not in JURISDICTIONS or (len(words) == 1 and before is None):
        return span
    return replace(span, start=start, type="LOCATION")


def _widen_quoted(text: str, span: Span) -> Span:
    """Return a company in quotation marks with the word before it: "Au" of "Au Vieux Moulin"."""
    if span.type not in _PLACEABLE - {"PERSON"} or not _CLOSING.match(text, span.end):
        return span
    first = _QUOTED_FIRST.search(text, max(0, span.start - _LONGEST_QUOTED), span.start)
    return replace(span, start=first.start(1)) if first else span


def _may_be_person(text: str, span: Span) -> bool:
    if span.recognizer != LEARNED or span.type not in _MISTAKABLE:
        return False
    words = [word for word in _find_words(text, span) if word not in _SMALL_WORDS]
    named = 0 < len(words) <= _NAME_WORDS and all(word[0].isupper() for word in words)
    return named and not any(c.isdigit() for c in text[span.start : span.end]) and not shows_type(text, span)


def _continues(text: str, first: Span | None, second: Span | None) -> bool:
    """Return True if one of two spans is a person and nothing but a space or a hyphen separates them."""
    if first is None or second is None or "PERSON" not in (first.type, second.type):
        return False
    return _JOINT.fullmatch(text, first.end, second.start) is not None


def _find_words(text: str, span: Span) -> list[str]:
    return [m.group() for m in _WORD.finditer(text, span.start, span.end)]
