"""Labels for Chinese passages: by reading, by the rules, and where a detector agrees."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lexveil.nlp.detector_training.chinese_labels import main
from lexveil.nlp.taggers.lattice import CHINESE

CUED = "原告葛兰芝诉称，被告未按约定支付货款，请求判令被告支付货款。"
UNCUED = "那批货最后是孟小勇拉走的，提货单上也是他签的字，双方没有争议。"
FOREIGN = "会谈中，安德烈科瓦尔提出由他担任项目负责人，双方没有异议，散会。"
NOBODY = "依照《中华人民共和国民事诉讼法》之规定，判决驳回上诉，维持原判，本判决为终审判决。"


def label(tmp_path: Path, content: str, suffix: str, *options: str) -> dict[str, list[str]]:
    path, out = tmp_path / f"passages{suffix}", tmp_path / "out.jsonl"
    path.write_text(content, encoding="utf-8")
    main([str(path), "--out", str(out), *options])
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {
        record["text"]: [record["text"][span["start"] : span["end"]] for span in record["spans"]]
        for record in records
    }


def write_lines(*texts: str) -> str:
    return "\n".join(
        json.dumps({"id": f"d{index}", "text": text}, ensure_ascii=False) for index, text in enumerate(texts)
    )


def test_the_rules_label_what_nobody_has_read(tmp_path: Path) -> None:
    found = label(tmp_path, write_lines(CUED, NOBODY, CUED), ".jsonl")
    assert found == {CUED: ["葛兰芝"], NOBODY: []}  # each once


def test_labels_by_reading_go_first_and_what_is_held_out_stays_out(tmp_path: Path) -> None:
    def entry(number: int, text: str, split: str) -> dict[str, object]:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return {
            "id": f"d{number}",
            "sha256": digest,
            "split": split,
            "spans": [[6, 9, "PERSON"], [0, 2, "AGE"]],
        }

    gold = tmp_path / "gold.json"
    documents = [entry(0, UNCUED, "development"), entry(1, CUED, "held-out")]
    gold.write_text(json.dumps({"documents": documents}), encoding="utf-8")
    found = label(tmp_path, write_lines(UNCUED, CUED, NOBODY), ".jsonl", "--labels", str(gold))
    assert found == {UNCUED: ["孟小勇"], NOBODY: []}
    with pytest.raises(ValueError, match="not the one"):
        label(tmp_path, write_lines(NOBODY), ".jsonl", "--labels", str(gold))


def test_a_detector_adds_sure_names_and_passages_in_doubt_are_left_out(tmp_path: Path) -> None:
    content = json.dumps(
        [
            {"question": CUED, "answer": UNCUED},
            {"question": FOREIGN, "answer": "短"},
            {"question": NOBODY.replace("上诉", "PER的上诉"), "answer": NOBODY},
        ]
    )
    found = label(tmp_path, content, ".json", "--detector", str(CHINESE))
    assert found == {CUED: ["葛兰芝"], UNCUED: ["孟小勇"], NOBODY: []}
