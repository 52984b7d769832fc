"""Gold files in both forms; what is wrong with one is said without its text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lexveil.nlp.entity_types import ENTITY_TYPES, FOREIGN_TYPES
from lexveil.nlp.evaluation.gold import GoldError, read_gold

CANARY = "Wharfinger"
TAB_FILE = Path(__file__).parents[4] / "shared" / "corpora" / "tab" / "echr_traindev113.json"


def case(**changes: Any) -> dict[str, Any]:
    mention = {
        "entity_type": "CODE",
        "entity_mention_id": "c_em1",
        "start_offset": 4,
        "end_offset": 11,
        "span_text": "12345/6",
        "identifier_type": "DIRECT",
        "entity_id": "c_e1",
    }
    return {
        "doc_id": "c",
        "text": f"No. 12345/6 {CANARY} v. State",
        "annotations": {CANARY: {"entity_mentions": [mention | changes]}},
    }


def record(**changes: Any) -> dict[str, Any]:
    span = {"start": 4, "end": 14, "type": "PERSON"}
    return {"id": 7, "text": f"Mr. {CANARY} and {CANARY} left.", "spans": [span | changes]}


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_tab(tmp_path: Path) -> None:
    (document,) = read_gold(written(tmp_path / "tab.json", [case()]))
    ((span,),) = document.annotations
    assert (document.id, document.language) == ("c", "en")
    assert (span.start, span.end, span.type) == (4, 11, "CASE_NUMBER")
    assert (span.entity, span.identifier) == ("c_e1", "DIRECT")
    assert CANARY not in repr(document)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_span_jsonl_plain_and_packed(tmp_path: Path, suffix: str) -> None:
    # A line separator of Unicode ends no record.
    rows = [record(), {**record(), "id": "b", "text": f"Mr. {CANARY}\u2028and {CANARY}"}]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    path = tmp_path / f"gold.jsonl{suffix}"
    path.write_bytes(pack(content))
    assert [document.id for document in read_gold(path)] == ["7", "b"]


def test_what_span_jsonl_leaves_out(tmp_path: Path) -> None:
    text = "Ann Roe, aged 40, met ANN  ROE and Bo."
    spans = [
        {"start": 0, "end": 7, "type": "PER"},
        {"start": 14, "end": 16, "type": "AGE"},
        {"start": 22, "end": 30, "type": "PERSON"},
        {"start": 35, "end": 37, "type": "PERSON", "entity": "bo", "identifier": "NO_MASK"},
        {"start": 9, "end": 13, "type": "TITLE"},
    ]
    row = {"id": 1, "text": text, "spans": spans, "meta": {"lang": "en-GB"}}
    (document,) = read_gold(written(tmp_path / "g.jsonl", row))
    (found,) = document.annotations
    assert document.language == "en"
    assert [(s.type, s.identifier) for s in found] == [
        ("PERSON", "DIRECT"),
        ("AGE", "QUASI"),
        ("PERSON", "DIRECT"),
        ("PERSON", "NO_MASK"),
    ]
    # Equal strings of one type are one entity; the name of a title isn't personal.
    assert found[0].entity == found[2].entity
    assert len({s.entity for s in found}) == 3


def test_names_of_other_corpora_lead_to_ours(tmp_path: Path) -> None:
    assert set(FOREIGN_TYPES.values()) <= {*ENTITY_TYPES, ""}
    path = written(tmp_path / "g.jsonl", record(type="JUDGE"))
    (document,) = read_gold(path, types={"JUDGE": "PERSON"})
    assert document.annotations[0][0].type == "PERSON"


REFUSED: dict[str, tuple[Any, str]] = {
    "no such type": (record(type="BARRISTER"), "record 1, field spans.0.type: unknown type BARRISTER"),
    "a type that is text": (record(type=f"{CANARY} & co"), "record 1, field spans.0.type"),
    "an end beyond the text": (record(end=99), "record 1, field spans.0.end"),
    "an empty span": (record(end=4), "record 1, field spans.0.end"),
    "a start before the text": (record(start=-1), "record 1, field spans.0.start"),
    "an offset that is no number": (record(start="4"), "record 1, field spans.0.start"),
    "no text": ({"id": 1, "spans": []}, "record 1, field text"),
    "no id": ({"text": CANARY, "spans": []}, "record 1, field id"),
    "no spans": ({"id": 1, "text": CANARY}, "record 1, field spans"),
    "no object": (CANARY, "record 1"),
    "a case without annotations": ([{**case(), "annotations": {}}], "record 1, field annotations"),
    "a case's wrong offset": (
        [case(), case(end_offset=999)],
        "record 2, field annotations.0.entity_mentions.0",
    ),
    "a case's wrong identifier": (
        [case(identifier_type=CANARY)],
        "record 1, field annotations.0.entity_mentions.0.identifier_type",
    ),
    "an empty list": ([], "no documents"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said_in_one_line_without_text(tmp_path: Path, name: str) -> None:
    value, says = REFUSED[name]
    with pytest.raises(GoldError) as refused:
        read_gold(written(tmp_path / "gold", value))
    assert says in str(refused.value)
    assert CANARY not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('[{"doc_id": "a", ')
    (tmp_path / "not.gz").write_text("{}")
    (tmp_path / "empty.jsonl").write_text("\n")
    for name, says in (
        ("none.json", "no such file"),
        ("cut.json", "is not valid JSON"),
        ("not.gz", "wrong_suffix"),
        ("empty.jsonl", "no documents"),
        ("", "no such file"),
    ):
        with pytest.raises(GoldError, match=says):
            read_gold(tmp_path / name)


def test_the_shared_cases() -> None:
    if not TAB_FILE.exists():
        pytest.skip(f"there is no {TAB_FILE}")
    documents = read_gold(TAB_FILE)
    spans = [span for document in documents for annotation in document.annotations for span in annotation]
    assert len(documents) == 113
    assert sum(span.type == "CASE_NUMBER" and span.identifier == "DIRECT" for span in spans) == 113


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("PERSON", "PERSON"),
        ("AGE", "AGE"),
        ("PER", "PERSON"),
        ("CODE", "CASE_NUMBER"),
        ("DATETIME", "DATE"),
        ("GPE", "LOCATION"),
        ("EMAIL_ADDRESS", "EMAIL"),
        ("IBAN_CODE", "ACCOUNT_NUMBER"),
        ("RR", "PERSON"),
        ("PESSOA", "PERSON"),
        ("GRT", None),
        ("TITLE", None),
        ("LEGISLACAO", None),
    ],
)
def test_types_of_several_corpora(tmp_path: Path, name: str, kind: str | None) -> None:
    (document,) = read_gold(written(tmp_path / "g.jsonl", record(type=name)))
    assert [span.type for span in document.annotations[0]] == ([kind] if kind else [])


def test_given_names_of_types_come_first(tmp_path: Path) -> None:
    path = written(tmp_path / "g.jsonl", record(type="PER"))
    assert read_gold(path, types={"PER": "MISC"})[0].annotations[0][0].type == "MISC"
    assert read_gold(path, types={"PER": ""})[0].annotations == ((),)


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        ("PERSON", "DIRECT"),
        ("ADDRESS", "DIRECT"),
        ("CASE_NUMBER", "DIRECT"),
        ("DATE", "QUASI"),
        ("AGE", "QUASI"),
    ],
)
def test_an_identifier_follows_from_the_type(tmp_path: Path, kind: str, identifier: str) -> None:
    (document,) = read_gold(written(tmp_path / "g.jsonl", record(type=kind)))
    assert document.annotations[0][0].identifier == identifier


@pytest.mark.parametrize(
    ("language", "expected"), [("EN", "en"), ("de-AT", "de"), ("zh-Hans-CN", "zh"), ("", ""), (None, "")]
)
def test_languages(tmp_path: Path, language: str | None, expected: str) -> None:
    row = record() if language is None else {**record(), "language": language}
    (document,) = read_gold(written(tmp_path / "g.jsonl", row))
    assert document.language == expected


@pytest.mark.parametrize(
    ("entities", "same"),
    [((None, None), True), (("a", "a"), True), ((7, "7"), True), (("a", "b"), False), (("a", None), False)],
)
def test_entities(tmp_path: Path, entities: tuple[Any, Any], same: bool) -> None:
    text = f"{CANARY} and {CANARY}"
    ends = ((0, len(CANARY)), (len(text) - len(CANARY), len(text)))
    spans = [
        {"start": start, "end": end, "type": "PERSON", "entity": entity}
        for (start, end), entity in zip(ends, entities, strict=True)
    ]
    (document,) = read_gold(written(tmp_path / "g.jsonl", {"id": 1, "text": text, "spans": spans}))
    first, second = document.annotations[0]
    assert (first.entity == second.entity) is same


def test_spans_are_sorted_and_may_overlap(tmp_path: Path) -> None:
    spans = [
        {"start": 9, "end": 12, "type": "AGE"},
        {"start": 0, "end": 7, "type": "PERSON"},
        {"start": 0, "end": 3, "type": "PERSON"},
    ]
    (document,) = read_gold(
        written(tmp_path / "g.jsonl", {"id": 1, "text": "Ann Roe, 40 years", "spans": spans})
    )
    assert [(s.start, s.end) for s in document.annotations[0]] == [(0, 3), (0, 7), (9, 12)]


def test_every_annotator_of_a_case_has_a_place(tmp_path: Path) -> None:
    row = case()
    mentions = row["annotations"][CANARY]["entity_mentions"]
    row["annotations"] = {"a": {"entity_mentions": mentions}, CANARY: {"entity_mentions": []}}
    (document,) = read_gold(written(tmp_path / "tab.json", [row]))
    assert [len(spans) for spans in document.annotations] == [1, 0]


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"\n\n", b"\r\n", b"  "])
def test_what_may_stand_before_the_first_record(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "g.jsonl"
    path.write_bytes(head + json.dumps(record()).encode())
    assert [document.id for document in read_gold(path)] == ["7"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1, 2]\n", b"7", b'"text"', b"\xff\xfe{}", b'{"id": 1}\n{"id"'],
)
def test_lines_that_are_no_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "g.jsonl"
    path.write_bytes(content)
    with pytest.raises(GoldError, match="record 1"):
        read_gold(path)


def test_the_number_of_a_record_counts_lines(tmp_path: Path) -> None:
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps(record()) + "\n\n" + json.dumps(record(end=99)))
    with pytest.raises(GoldError, match=r"record 3, field spans\.0\.end: \[4, 99\) is not a range"):
        read_gold(path)


def test_a_folder_is_no_gold_file(tmp_path: Path) -> None:
    with pytest.raises(GoldError, match="no such file"):
        read_gold(tmp_path)
