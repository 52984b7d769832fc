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
