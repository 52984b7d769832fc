# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Authors of law books, and judges, that a text cites for the law: "Phipson on Evidence", "Lord Bridge in Caparo"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lexveil.nlp.citations.rule import LAW, Range
from lexveil.nlp.letters import UPPER
from lexveil.nlp.vocabulary import JURISDICTIONS, PLACES, TIME_WORDS

_AUTHOR = rf"[{UPPER}][\w'-]+"
_AUTHORS = rf"(?:{_AUTHOR}(?:, | & | and | and\n)){{0,3}}{_AUTHOR}"
# What books of law are on.
_SUBJECT = (
    r"(?:Administrative|Adoption|Agency|Arbitration|Bail|Banking|Bankruptcy|Bills|Building|Charities|Company|Companies|Conflicts?|Confidentiality|Constitutional|Construction|Contempt|Contracts?|Copyright|"
    r"Corporations?|Costs|Crime|Criminal|Damages|Defamation|Discovery|Divorce|Easements|Employment|Equity|Estates|Estoppel|Evidence|Executors|Family|Federal|Guarantees|Housing|Injunctions|Injuries|Insolvency|Insurance|International|"
    r"Interpretation|Judicial|Jurisprudence|Landlord|Legal|Legislation|Libel|Licensing|Limitations?|Master|Mergers|Mortgages?|Negligence|Nuisance|Partnership|Patents?|Planning|Pleadings?|Precedents|Privilege|Privileged|Probate|Procedure|Property|Quantum|"
    r"Receivers|Receivership|Rent|Restitution|Sale|Sales|Sentencing|Shipping|Statutes?|Statutory|Succession|Surety|Tax|Taxation|Torts?|Trade|Trusts?|Unjust|Wills|Writs)"
)
_ON_SUBJECT = LAW.compile(
    rf" on (?:the )?(?:(?:Law|Principles) of )?(?:the )?{_SUBJECT}(?:(?:,| and| of| &|, and)? (?:the )?[{UPPER}][a-z]+)*"
)
_BEFORE_SUBJECT = re.compile(rf"(?<![\w'-])(?:{_AUTHORS})\Z")
_LONGEST_AUTHORS = 64
# An edition, a passage.
_PLACE = re.compile(
    r"(?:,? \(?(?:\d{1,2}(?:st|nd|rd|th)|[12]\d{3}) ?(?:[Ee]d(?:n|ition)?\b\.?)?(?:,? [12]\d{3})?\)?)?(?:,? (?:vol(?:ume|\.) ?\d+,? )?(?:at )?(?:¶|§§?|paras?\.?|paragraphs?|pp?\.|chapters?|ch\.)? ?\d{1,3}-\d{1,4}[A-Z]?)?"
)
# Books that are known by their authors alone.
_KNOWN = (
    r"(?:Archbold|Bennion|Blackstone|Bowstead|Bullen(?: (?:&|and) Leake(?:(?: &|,| and) Jacob)?)?|Charlesworth|Chitty|Clerk (?:&|and) Lindsell|Craies|Cross (?:&|and) Tapper|Dicey(?:, Morris (?:&|and) Collins| (?:&|and) Morris)?|Foskett|Gatley|"
    r"Goff (?:&|and) Jones|Gore-Browne|Halsbury|Hill (?:&|and) Redman|Keane|Kerr|Lewin|McGregor|Megarry(?: (?:&|and) Wade)?|Mulla|Mustill (?:&|and) Boyd|Nimmer|Odgers|Phipson|Prosser(?: (?:&|and) Keeton)?|Ratanlal(?: (?:&|and) Dhirajlal)?|"
    r"Redfern (?:&|and) Hunter|Sarkar|Seervai|Smith (?:&|and) Hogan|Snell|Spencer Bower|Stroud|Treitel|Underhill(?: (?:&|and) Hayton)?|Wade (?:&|and) Forsyth|Wigmore|Williston|Winfield(?: (?:&|and) Jolowicz)?|Woodfall|Wright (?:&|and) Miller|Zuckerman)"
)
_BOOK = LAW.compile(rf"(?<![\w'-]){_KNOWN}(?:'s)?(?![\w'’-])")
# What shows that a book is meant: its title, an edition, a passage; or the words before it.
_AFTER_AUTHOR = re.compile(
    rf"(?:(?:, |: | )(?:The |A |An |Modern )?(?:[{UPPER}][a-z]+(?:-[{UPPER}][a-z]+)? (?:(?:of|on|and|the|in) ){{0,2}}){{0,5}}(?:Laws?|Equity|Evidence|Practice|Pleadings?|Precedents|Statutes|Dictionary|Goods|Actions|Damages|Torts?|Contracts?|Agency|Trusts?|Estoppel|Procedure|Jurisprudence)\b(?: of [{UPPER}][a-z]+)?"
    r"|(?=,? (?:\(?\d{1,2}(?:st|nd|rd|th)\b|\d{4} (?:ed|at)|(?:at )?(?:¶|§|paras?\b|paragraphs?|pp?\.|chapter|ch\.|vol)|(?:at )?\d{1,3}-\d{2,4})))"
)
_BEFORE_AUTHOR = re.compile(
    r"\b(?i:in|see|also|cf\.?|per|citing|editors? of|edition of|authors? of|passage in|learned author of|to|by reference to|from|by) (?:the )?\Z"
)
_NO_BOOK = re.compile(rf" [{UPPER}][a-z]")
_WORD = re.compile(r"[\w'-]+")
_TITLED = re.compile(
    rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Smt|Shri|Sri)\.? (?:[{UPPER}][\w.'-]{{0,40}} ){{0,3}}([{UPPER}][\w'-]{{2,40}})"
)

# Judges in the House of Lords, the Supreme Court, the Court of Appeal.
_JUDGE = LAW.compile(
    rf"(?<![\w'-])(?:Lord|Lady|Baroness|Viscount)(?: Justice)? [{UPPER}](?:'[{UPPER}])?[\w-]+(?: of [{UPPER}][\w-]+(?:-[a-z]+-[{UPPER}]\w+)?)?"
)
_CITES = re.compile(
    r"(?i:\b(?:per|speech(?:es)? of|judgments? of|opinions? of|dict(?:um|a) of|words of|reasoning of|formulation of|observations? of|approach of|guidance of|tests? of|cit(?:ing|ed|ation from)|quoting|(?:given|laid down|formulated|explained|put|held|stated|set out|described|approved|endorsed) by)) \Z"
)
_CITED = re.compile(
    r"'s? (?:[a-z-]+ ){0,2}(?:speech|judgment|dict(?:um|a)|opinion|test|formulation|words|observations?|reasoning|approach|analysis|statement|question|classification|propositions?)\b"
)
_TO_CASE = re.compile(r"(?:,? (?:[a-z]+ ){0,5}in (?:the )?)\Z")
# "Lord Bridge in Caparo": the name of a case, not a place.
_IN_CASE = re.compile(rf" in ([{UPPER}][\w'-]+(?: [{UPPER}][\w'-]+)?)(?![\w'-])")
_NEAR = 64
_NO_CASES = JURISDICTIONS | PLACES | TIME_WORDS


def find_books(text: str) -> Iterator[Range]:
    """Yield the law books that `text` (normalized) cites, with edition and passage."""
    found: list[Range] = []
    for subject in _ON_SUBJECT.finditer(text):
        authors = _BEFORE_SUBJECT.search(text, max(0, subject.start() - _LONGEST_AUTHORS), subject.start())
        if authors:
            found.append((authors.start(), subject.end()))
    for book in _BOOK.finditer(text):
        title = _AFTER_AUTHOR.match(text, book.end())
        cited = _BEFORE_AUTHOR.search(text, max(0, book.start() - _NEAR), book.start())
        owned = book.group().endswith("'s")  # a book, or a person's sister
        if title or (cited and not owned and not _NO_BOOK.match(text, book.end())):
            found.append((book.start(), title.end() if title else book.end()))
    people = set(_TITLED.findall(text)) if found else set[str]()
    for start, end in found:
        if people.isdisjoint(_WORD.findall(text, start, end)):
            place = _PLACE.match(text, end)
            yield start, place.end() if place else end


def find_judges(text: str, law: Sequence[Range]) -> Iterator[Range]:
    """Yield the mentions of judges whose speeches `text` (normalized) cites.

    Lords are also parties: a mention counts if some mention of the same name shows that it is a judge's.

    Args:
        text: normalized text.
        law: sorted ranges of the citations in it.
    """
    found = [*_JUDGE.finditer(text)]
    if not found:
        return
    starts = {start for start, _ in law}
    cases = [_find_case(text, match.end()) for match in found]
    cited = {
        match.group()
        for match, case in zip(found, cases, strict=True)
        if case or _is_cited(text, match, starts)
    }
    for match, case in zip(found, cases, strict=True):
        if match.group() in cited:
            yield match.start(), case or match.end()


def _find_case(text: str, end: int) -> int | None:
    """Return the end of the case that follows a judge at once."""
    case = _IN_CASE.match(text, end)
    if case is None:
        return None
    words = case.group(1).casefold()
    if words in _NO_CASES or words.split()[0] in _NO_CASES:
        return None
    return case.end()


def _is_cited(text: str, match: re.Match[str], law: set[int]) -> bool:
    before = text[max(0, match.start() - _NEAR) : match.start()]
    if _CITES.search(before) or _CITED.match(text, match.end()):
        return True
    near = (start for start in range(match.end(), min(len(text), match.end() + _NEAR)) if start in law)
    start = next(near, None)
    return start is not None and _TO_CASE.fullmatch(text, match.end(), start) is not None
