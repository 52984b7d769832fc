"""Survey of the records of the sources: fields, owners and classes, counted without reading a document."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lexveil.nlp.detection.language import detect_language
from lexveil.nlp.readers.records import get_field
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.documents import SourceItem, read_records
from lexveil.pipeline.sources.fields import read_label
from lexveil.pipeline.sources.owners import read_owner_names

# Words in the names of fields that tell whom a document is about.
_OWNER_WORDS = {
    "account",
    "accused",
    "appellant",
    "applicant",
    "borrower",
    "buyer",
    "claimant",
    "client",
    "customer",
    "debtor",
    "defendant",
    "employee",
    "employer",
    "lessee",
    "lessor",
    "matter",
    "owner",
    "parties",
    "party",
    "patient",
    "person",
    "plaintiff",
    "respondent",
    "seller",
    "signatories",
    "signatory",
    "tenant",
}
_LOOKED_AT = 50  # records


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts over all records, and over all files that are one document.

    Attributes:
        documents: number of records and of files that are one document.
        fields: number of documents that have a field, by its name; dots reach into records.
        owners: number of owners, alone or with others; None if no owner field is named.
        labels: the labels; None: a document without a label.
        labeled: number of documents with a label.
        languages: number of the first records by the language of their texts.
    """

    documents: int
    fields: Mapping[str, int] = field(repr=False)
    owners: int | None
    labels: frozenset[str | None] = field(repr=False)
    labeled: int
    languages: Mapping[str, int]


def survey_sources(items: Iterable[SourceItem], ingest: IngestSettings) -> Survey:
    """Count what the records have, and the rows of sidecar files."""
    documents = labeled = 0
    fields: Counter[str] = Counter()
    owners: set[str] = set()
    labels: set[str | None] = set()
    languages: Counter[str] = Counter()
    for record in read_records(items, ingest):
        documents += 1
        fields.update(_list_fields(record))
        label = read_label(record, ingest.label_field)
        labels.add(label)
        labeled += label is not None
        owners.update(read_owner_names(record, ingest.owner_field))
        text = get_field(record, ingest.text_field) if documents <= _LOOKED_AT else None
        if isinstance(text, str) and text:
            languages[detect_language(text)] += 1
    count = len(owners) if ingest.owner_field else None
    return Survey(documents, dict(sorted(fields.items())), count, frozenset(labels), labeled, languages)


def find_owner_fields(items: Iterable[SourceItem], ingest: IngestSettings) -> list[str]:
    """Find the fields of the first records whose names say whom a document is about."""
    records = itertools.islice(read_records(items, ingest), _LOOKED_AT)
    return sorted({name for record in records for name in _list_fields(record) if looks_like_owner(name)})


def looks_like_owner(name: str) -> bool:
    """Return True if a field's name has a word for somebody whom a document is about."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name.rpartition(".")[2]).lower())
    return not _OWNER_WORDS.isdisjoint(words)


def describe_owner_fields(fields: int) -> str:
    """Return the line that asks for an owner field. It names none, since field names come from records."""
    return (
        f"each document is its own owner, yet the records have {fields} field(s) that may name owners: "
        "`lexveil run --plan` lists them; name one with --owner-field"
    )


def _list_fields(record: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _list_fields(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        elif value not in (None, "", []):
            yield f"{prefix}{name}"
