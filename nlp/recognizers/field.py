# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Names in the fields of records: `"last_name": "Roe"`, `<Surname>Roe</Surname>`, a column headed "surname"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.base import LABELED, SHARED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import INSTITUTION_WORDS, LEGAL_FORMS

# The fields that hold the name of a person, in lower case, without what separates words.
_FIELDS = frozenset(
    """
    name names fullname firstname lastname givenname givennames familyname surname surnames forename forenames middlename
    maidenname nickname christianname clientname patientname witnessname claimantname tenantname employeename contactname
    customername personname debtorname nameofclient nameofpatient nameofwitness
    vorname vornamen nachname familienname zuname geburtsname vollname namevorname nachnamevorname
    nom prénom prenom noms prénoms prenoms nomdefamille nomprénom nombre nombres apellido apellidos nombreyapellidos
    nome cognome sobrenome apelido nomecompleto nomeecognome naam voornaam achternaam roepnaam imię imie nazwisko imięinazwisko
    ime prezime imeiprezime jméno příjmení meno priezvisko etunimi sukunimi förnamn efternamn fornavn etternavn efternavn
    """.split()  # noqa: SIM905
)
# The columns that hold people among other things.
_ROLES = frozenset(
    """
    employee employees manager supervisor tenant tenants claimant defendant applicant respondent creditor debtor client patient witness person persons
    dependant dependants dependent guarantor beneficiary shareholder director member author custodian recipient sender contact buyer seller payee
    mitarbeiter mitarbeiterin arbeitnehmer gläubiger schuldner mieter mandant patient zeuge gesellschafter geschäftsführer
    créancier créanciers salarié locataire associé témoin débiteur creditore creditori debitore dipendente socio teste
    acreedor deudor empleado socio testigo credor devedor empregado sócio testemunha schuldeiser werknemer huurder getuige
    wierzyciel dłużnik pracownik świadek
    """.split()  # noqa: SIM905
)
# Each of them contains one of these.
_FIELD_WORD = SHARED.compile(
    rf"(?i)(?<![^\W\d_])(?:{'|'.join(sorted(_ROLES))})(?![^\W\d_])|name|nom\b|noms\b|nombre|apell?id|cognome|nome|nomde|naam|imi[ęe]|nazwisk|ime\b|prezime|jméno|příjmení|meno\b|priezvisk|nimi\b|namn|navn"
)
_KEY = r"[^\W\d_]{2,20}(?:[ _-][^\W\d_]{1,12}){0,3}"
_QUOTED = SHARED.compile(rf"[\"']({_KEY})[\"'] ?[:=] ?([\"'])([^\"'\n]{{2,60}})\2")
_TAGGED = SHARED.compile(r"<(?:\w+:)?([A-Za-z_-]{3,30})(?: [^<>\n]{0,80})?>([^<>\n]{2,60})</")
_NAME = re.compile(rf"(?:[^\W\d_]|[ .,'’-])*[{UPPER}](?:[^\W\d_]|[ .,'’()-])*")
_SEPARATORS = re.compile(r"[,;|\t]")
_LETTERS = re.compile(r"[^\W\d_]+")
_LONGEST_HEADER = 400
_MOST_WORDS = 4


class FieldRecognizer(RuleRecognizer):
    """Names in fields and columns whose label says that they hold names."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names in the fields of `text`."""
        if '":' in text or "':" in text or '" :' in text or "' :" in text or "=" in text:
            for match in _QUOTED.finditer(text):
                if _is_field(match.group(1)):
                    yield from _find_value(text, *match.span(3))
        if "</" in text:
            for match in _TAGGED.finditer(text):
                if _is_field(match.group(1)):
                    yield from _find_value(text, *match.span(2))
        yield from _find_in_columns(text)


def _is_field(label: str) -> bool:
    return "".join(_LETTERS.findall(label)).casefold() in _FIELDS


def _find_value(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the name in [start, end), unless it is that of a company or no name at all."""
    value = text[start:end]
    words = {word.casefold() for word in _LETTERS.findall(value)}
    company = not (words.isdisjoint(LEGAL_FORMS) and words.isdisjoint(INSTITUTION_WORDS))
    if _NAME.fullmatch(value.strip(" \"'")) and not company and not _is_field(value):
        start += len(value) - len(value.lstrip(" \"'"))
        yield Finding(start, start + len(value.strip(" \"'")), "PERSON", LABELED)


def _find_in_columns(text: str) -> Iterator[Finding]:
    """Yield the cells below headers of columns that hold names."""
    done = 0
    for word in _FIELD_WORD.finditer(text):
        if word.start() < done:
            continue
        start = text.rfind("\n", 0, word.start()) + 1
        done = _find_line_end(text, word.start())
        separator, columns = _read_header(text[start:done])
        if not columns:
            continue
        count = text.count(separator, start, done)
        while done < len(text):
            start, end = done + 1, _find_line_end(text, done + 1)
            if text.count(separator, start, end) != count:
                break
            done = end
            cells = _list_cells(text[start:end], separator)
            for column, sure in columns:
                first, last = cells[column]
                if sure or _is_full_name(text[start + first : start + last]):
                    yield from _find_value(text, start + first, start + last)


def _find_line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_full_name(cell: str) -> bool:
    """Return True for "Roe, Ada", "A. Roe" and "Ada Roe", none of whose words is ordinary."""
    words = _LETTERS.findall(cell)
    return 1 < len(words) <= _MOST_WORDS and not any(is_ordinary(word.casefold()) for word in words)


def _read_header(row: str) -> tuple[str, list[tuple[int, bool]]]:
    """Return the separator of a header, and which of its columns hold names, and nothing else; none if it is no header."""
    separator = _SEPARATORS.search(row) if len(row) <= _LONGEST_HEADER else None
    if separator is None:
        return "", []
    labels = [row[start:end] for start, end in _list_cells(row, separator.group())]
    # A sentence with commas is no header: the cells of one are labels of a few words.
    if not all(map(_is_label, labels)):
        return "", []
    columns = (
        (index, _is_field(label), label.strip().casefold() in _ROLES) for index, label in enumerate(labels)
    )
    return separator.group(), [(index, sure) for index, sure, role in columns if sure or role]


def _is_label(cell: str) -> bool:
    return len(cell.split()) <= 3 and not re.search(rf"[.!?:]|[{LOWER}]\)$", cell.strip())


def _list_cells(row: str, separator: str) -> list[tuple[int, int]]:
    """Return the ranges of the cells of a row."""
    edges = [-1, *(index for index, letter in enumerate(row) if letter == separator), len(row)]
    return [(first + 1, last) for first, last in pairwise(edges)]
