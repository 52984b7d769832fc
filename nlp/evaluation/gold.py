"""Documents with the spans that people marked in them, to score a detector or to train one.

Two formats of file are supported, each plain, `.gz` or `.zst`:

* the JSON of the Text Anonymization Benchmark (Pilán et al. 2022, "The Text Anonymization Benchmark (TAB)",
  Computational Linguistics 48(4)), a list of documents with one or more annotators each;
* span-JSONL, one `{"id", "text", "spans": [{"start", "end", "type"}]}` per line. A span may also have
  `entity`, which mentions of one person or thing share (by default, equal strings of one type do), and
  `identifier`: DIRECT, QUASI or NO_MASK (by default, it follows from the type). `language` or `meta.lang` is
  an ISO 639-1 code.

Offsets are characters of `text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, Field, StrictInt, StrictStr, ValidationError, field_validator

from lexveil.nlp.entity_types import DIRECT_TYPES, ENTITY_TYPES, FOREIGN_TYPES, NOT_PERSONAL
from lexveil.nlp.readers.compression import check_codec, open_regular, read_all, split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.records_jsonl import parse_record

Identifier = Literal["DIRECT", "QUASI", "NO_MASK"]

_TYPE_NAME = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_LIMITS = Limits(max_text_bytes=1 << 30)
_Model = TypeVar("_Model", bound=BaseModel)


class GoldError(ValueError):
    """A gold file cannot be used. The message names the record and the field, and never quotes text."""


@dataclass(frozen=True, slots=True, order=True)
class GoldSpan:
    """Characters [start, end) that an annotator marked.

    Attributes:
        type: one of `ENTITY_TYPES`.
        entity: the same for all mentions of one person or thing in a document.
        identifier: DIRECT identifies somebody alone, QUASI with other information, NO_MASK not at all.
    """

    start: int
    end: int
    type: str
    entity: str
    identifier: Identifier


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A text and the spans that each annotator marked in it, sorted.

    Attributes:
        language: an ISO 639-1 code, or "" if the file has none.
    """

    id: str
    text: str = field(repr=False)
    language: str
    annotations: tuple[tuple[GoldSpan, ...], ...] = field(repr=False)


class _Spans(BaseModel):
    start: StrictInt = Field(ge=0)
    end: StrictInt
    type: StrictStr
    entity: StrictStr | StrictInt | None = None
    identifier: Identifier | None = None


class _Meta(BaseModel):
    lang: StrictStr = ""


class _Record(BaseModel):
    id: StrictStr | StrictInt
    text: StrictStr
    spans: list[_Spans]
    language: StrictStr = ""
    meta: _Meta = _Meta()


class _Mention(BaseModel):
    start_offset: StrictInt = Field(ge=0)
    end_offset: StrictInt
    entity_type: StrictStr
    entity_id: StrictStr
    identifier_type: Identifier


class _Annotator(BaseModel):
    entity_mentions: list[_Mention]


class _Case(BaseModel):
    doc_id: StrictStr
    text: StrictStr
    annotations: list[_Annotator] = Field(min_length=1)

    @field_validator("annotations", mode="before")
    @classmethod
    def _without_names(cls, value: object) -> object:
        """Replace the names of annotators by indices, so that no message can name one."""
        return list(cast("dict[object, object]", value).values()) if isinstance(value, dict) else value


def read_gold(path: Path, types: Mapping[str, str] | None = None) -> list[GoldDocument]:
    """Return the documents of a TAB or span-JSONL file.

    Args:
        path: a plain, `.gz` or `.zst` file.
        types: maps the file's names of types to `ENTITY_TYPES`, or to `NOT_PERSONAL` to leave out their
            spans. It takes precedence over `FOREIGN_TYPES`.

    Raises:
        GoldError: the file does not exist, has another format, or has a record that cannot be used.
    """
    names = {**FOREIGN_TYPES, **(types or {})}
    content = _read_content(path)
    if content.lstrip()[:1] == b"[":
        documents = [_tab_document(number, case, names) for number, case in _parse_tab(content)]
    else:
        documents = [_span_document(number, line, names) for number, line in _parse_lines(content)]
    if not documents:
        raise GoldError("the gold file holds no documents")
    return documents


def _read_content(path: Path) -> bytes:
    _, codec = split_name(path.name)
    try:
        with open_regular(path) as raw:
            head = raw.read(8)
            check_codec(head, codec)
            raw.seek(0)
            return read_all(raw, codec, _LIMITS).removeprefix(b"\xef\xbb\xbf")
    except UnreadableError as unreadable:
        absent = unreadable.reason is Reason.inaccessible
        why = "there is no such file, or permission is denied" if absent else unreadable.reason.value
        raise GoldError(f"the gold file cannot be read: {why}") from None


def _parse_tab(content: bytes) -> Iterator[tuple[int, _Case]]:
    try:
        cases = cast("list[object]", json.loads(content))
    except (ValueError, RecursionError):
        raise GoldError("the gold file begins like TAB's JSON list and is not valid JSON") from None
    for number, case in enumerate(cases, start=1):
        yield number, _validate(_Case, case, number)


def _parse_lines(content: bytes) -> Iterator[tuple[int, _Record]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            value = parse_record(line)
            if isinstance(value, Reason):
                raise GoldError(f"record {number}: not a JSON object in UTF-8")
            yield number, _validate(_Record, value, number)


def _validate(model: type[_Model], value: Any, number: int) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise GoldError(f"record {number}, field {where}: {first['msg']}") from None


def _tab_document(number: int, case: _Case, names: Mapping[str, str]) -> GoldDocument:
    annotations: list[tuple[GoldSpan, ...]] = []
    for annotator, annotation in enumerate(case.annotations):
        spans: list[GoldSpan] = []
        for index, m in enumerate(annotation.entity_mentions):
            where = f"record {number}, field annotations.{annotator}.entity_mentions.{index}"
            kind = _find_type(m.entity_type, names, f"{where}.entity_type")
            _check_offsets(m.start_offset, m.end_offset, case.text, f"{where}.end_offset")
            spans.append(GoldSpan(m.start_offset, m.end_offset, kind, m.entity_id, m.identifier_type))
        annotations.append(tuple(sorted(span for span in spans if span.type != NOT_PERSONAL)))
    return GoldDocument(case.doc_id, case.text, "en", tuple(annotations))


def _span_document(number: int, record: _Record, names: Mapping[str, str]) -> GoldDocument:
    spans: list[GoldSpan] = []
    entities: dict[tuple[str, str], str] = {}
    for index, s in enumerate(record.spans):
        where = f"record {number}, field spans.{index}"
        kind = _find_type(s.type, names, f"{where}.type")
        _check_offsets(s.start, s.end, record.text, f"{where}.end")
        string = " ".join(record.text[s.start : s.end].casefold().split())
        entity = entities.setdefault((kind, string), f"e{len(entities) + 1}")
        identifier = s.identifier or ("DIRECT" if kind in DIRECT_TYPES else "QUASI")
        spans.append(
            GoldSpan(s.start, s.end, kind, entity if s.entity is None else str(s.entity), identifier)
        )
    kept = tuple(sorted(span for span in spans if span.type != NOT_PERSONAL))
    language = (record.language or record.meta.lang).lower().split("-")[0]
    return GoldDocument(str(record.id), record.text, language, (kept,))


def _find_type(name: str, names: Mapping[str, str], where: str) -> str:
    if name in names:
        return names[name]
    if name in ENTITY_TYPES:
        return name
    # A name that does not look like one could be text of a document.
    shown = name if _TYPE_NAME.fullmatch(name) else "that is no type's name"
    raise GoldError(f"{where}: unknown type {shown}; known are {', '.join(ENTITY_TYPES)}")


def _check_offsets(start: int, end: int, text: str, where: str) -> None:
    if not start < end <= len(text):
        raise GoldError(f"{where}: [{start}, {end}) is not a range of a text of {len(text)} characters")
