"""Damaged and real files, as a user would meet them: text or a reason, and never another exception."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
import zstandard

from lexveil.nlp.readers import Reason, UnreadableError, documents, read_document
from lexveil.nlp.readers.contract import Limits
from lexveil.nlp.readers.formats import detect_format
from lexveil.nlp.readers.records import plan_slices, read_slice

REAL = Path(__file__).parents[4] / "shared/corpora/real_files"
BODY = "<w:p><w:r><w:t>The tenant of flat 4 paid the rent into court.</w:t></w:r></w:p>" * 20


def damaged(data: bytes, seed: int) -> bytes:
    """Cut short, or with some bits flipped, or with a piece twice."""
    rng = random.Random(seed)
    kind = seed % 3
    if kind == 0:
        return data[: rng.randrange(len(data))]
    if kind == 1:
        flipped = bytearray(data)
        for _ in range(rng.choice([1, 5, 50])):
            flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    at = rng.randrange(len(data))
    return data[:at] + data[max(0, at - rng.randrange(1, 200)) :]


@pytest.fixture
def samples(docx: Callable[..., bytes], pdf: Callable[..., bytes]) -> dict[str, bytes]:
    word, page = docx(BODY, header1=BODY, footnotes=BODY), pdf(("A page of text.\nMore of it.", False))
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann Other <ann@example.org>", "张三 <z@example.org>", "租约"
    mail.set_content("Dear Sir,\n" * 20, charset="iso-8859-1")
    mail.add_alternative("<table><tr><td>Dear<td>Sir</table>", subtype="html")
    mail.add_attachment(word, maintype="application", subtype="octet-stream", filename="租约.docx")
    html = "<html><body>" + "<div><p>one<table><tr><td>two</table></div>" * 50
    return {
        "a.docx": word,
        "a.pdf": page,
        "a.eml": bytes(mail),
        "a.html": html.encode(),
        "a.txt.zst": zstandard.compress(BODY.encode() * 10),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.eml", "a.html", "a.txt.zst"])
def test_damage_yields_text_or_a_reason(tmp_path: Path, samples: dict[str, bytes], name: str) -> None:
    path = tmp_path / name
    outcomes: Counter[str] = Counter()
    for seed in range(300):
        path.write_bytes(damaged(samples[name], seed))
        try:
            assert read_document(path).strip()
            outcomes["text"] += 1
        except UnreadableError as unreadable:
            outcomes[str(unreadable)] += 1
    print(name, dict(outcomes))
    assert outcomes.keys() <= {"text", *Reason}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.jsonl.zst", "r.csv.gz", "r.csv", "r.parquet"])
def test_damaged_record_files_are_planned_and_read_alike(tmp_path: Path, name: str) -> None:
    import gzip
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": str(i), "text": f"clause {i * 7919} of the lease"} for i in range(160)]
    path = tmp_path / name
    if name == "r.parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=90)
        whole = path.read_bytes()
    elif name == "r.jsonl.zst":
        whole = zstandard.compress("\n".join(map(json.dumps, rows)).encode())
    else:
        table = "id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in rows)
        whole = gzip.compress(table.encode()) if name.endswith(".gz") else table.encode()
    for seed in range(200):
        path.write_bytes(damaged(whole, seed))
        try:
            slices = list(plan_slices(path, max_records=50))
        except UnreadableError:
            continue
        for piece in slices:
            assert len(list(read_slice(path, piece))) == piece.count


def test_only_hostile_bytes_reach_the_last_resort(samples: dict[str, bytes]) -> None:
    """Sound files raise nothing inside either: the catch-all of read_document hides no bug of ours."""
    for name, data in samples.items():
        suffix, _, codec = name[1:].partition(".z")
        assert documents.read_bytes(data, suffix.removesuffix("."), "zstd" if codec else None, Limits())


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/corpora/real_files is absent")
def test_real_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Tesseract: the counts shall not depend on the machine
    counts: dict[str, Counter[str]] = {}
    for path in sorted(REAL.rglob("*")):
        if path.is_file() and path.suffix not in (".xml", ".md"):
            try:
                outcome = "text" if read_document(path).strip() else "?"
            except UnreadableError as unreadable:
                outcome = str(unreadable)
            counts.setdefault(path.parent.name, Counter())[outcome] += 1
    print({folder: dict(count) for folder, count in counts.items()})
    assert set(counts.pop("office")) == {"text", "unsupported"}
    assert counts["docx_judgments"].keys() == {"text"}
    assert set().union(*counts.values()) <= {"text", "needs_ocr", "empty"}


def test_comments_before_a_page_take_no_time() -> None:
    """Each doubled it: a few dozen of them never ended."""
    assert detect_format(b"<!---->" * 400 + b"x", ".doc") == ".txt"
    page = b"\xef\xbb\xbf <!-- a -->\n<!-- > --> <!DOCTYPE html><p>x"
    assert detect_format(page, ".doc") == ".html"
