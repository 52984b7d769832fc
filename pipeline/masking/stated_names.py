"""Names that the format of a document states: its parties, its author, sender and recipients of a mail.

They are searched for in the text like any name that was found in it. Names of anything but private
people and companies (a role, a state, an office, a program's account) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import getaddresses

from lexveil.nlp.letters import has_han
from lexveil.nlp.vocabulary import JURISDICTIONS, LEGAL_FORM_LETTERS, LEGAL_FORMS, LEGAL_WORDS

_FIELDS = ("parties", "author")
_MAIL = "mail"
_LONGEST = 80
_MOST = 100
_LONGEST_STATED = 300  # with titles and asides
_LONGEST_LIST = _MOST * _LONGEST_STATED
_MOST_COMMENTS = 200  # in the addresses of a mail; Python's parser fails where some hundreds are nested
_WORD = re.compile(r"[^\W\d_]+")
_ASIDE = re.compile(r"\([^()]*(?:\)|\Z)|\bet al\b\.?.*|\b[ad]/?k/?a\b.*", re.IGNORECASE)
_TITLE = re.compile(
    r"(?:(?:mr|mrs|ms|miss|mme|dr|prof|sir|dame|lord|lady|hon|judge|justice|herr|frau|monsieur)\b\.? *)+",
    re.IGNORECASE,
)
_JOINED = frozenset({"of", "for", "the", "and", "und", "et", "in", "fur", "f\u00fcr"})
_FORMS = LEGAL_FORMS | LEGAL_FORM_LETTERS
_LONGEST_PERSON = 5  # words
# First words of names of states and offices, and of accounts.
_PUBLIC = frozenset(
    {
        "regina", "rex", "republic", "republik", "bundesrepublik", "freistaat", "land", "kanton", "stadt",
        "gemeinde", "finanzamt", "staatsanwaltschaft", "bundesamt", "department", "office", "windows",
        "microsoft", "user", "users", "admin", "default", "oem",
    }
)  # fmt: skip


def list_stated_names(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names that a document's format states, each with its entity type.

    Args:
        fields: what the format states, by kind.
    """
    is_mail = fields.get("kind") == _MAIL
    found: dict[str, str] = {}
    for field in _FIELDS:
        value = fields.get(field, "")[:_LONGEST_LIST]
        for name in _iter_senders(value) if is_mail else value.split(";"):
            clean = _clean(name[:_LONGEST_STATED])
            # Alone, the name of an account or a program is an ordinary word.
            if _is_name(clean) and (has_han(clean) or " " in clean or (field == "parties" and not is_mail)):
                found.setdefault(clean, _choose_type(clean))
    return [*found.items()][:_MOST]


def _iter_senders(value: str) -> Iterator[str]:
    if value.count("(") > _MOST_COMMENTS:
        value = value.replace("(", " ")
    for name, _ in getaddresses(value.split(";")):
        yield name


def _clean(name: str) -> str:
    """Return a name without titles and asides, the first name first."""
    name = name.strip(" \t\"',")
    while (shorter := _ASIDE.sub(" ", name)) != name:  # an aside within an aside
        name = shorter
    plain = _TITLE.sub("", name, count=1)
    last, comma, first = plain.partition(",")
    words = {*_list_words(first)}
    if comma and words & _FORMS:
        return " ".join(f"{last} {first}".split())
    is_turned = comma and "," not in first and not words & LEGAL_WORDS
    return " ".join((f"{first} {last}" if is_turned else last).split())


def _is_name(name: str) -> bool:
    words = _list_words(name)
    return (
        0 < len(name) <= _LONGEST
        and "@" not in name
        and bool(words)
        and (has_han(name) or any(letter.isupper() for letter in name))
        and words[0] not in LEGAL_WORDS | _PUBLIC
        and name.casefold() not in JURISDICTIONS
        and words[-1] not in _PUBLIC
    )


def _choose_type(name: str) -> str:
    words = _list_words(name)
    is_company = bool({*words} & (_FORMS | _JOINED)) or "&" in name
    return "ORGANIZATION" if is_company or len(words) > _LONGEST_PERSON else "PERSON"


def _list_words(name: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(name)]
