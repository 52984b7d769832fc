"""Readers of documents: speed by format, and for PDF fidelity, ciphers found and false alarms.

`python -m benchmarks.readers --real ../shared/corpora/real_files --texts FILE.jsonl.zst`. Speed is measured
on generated files, PDF beside PDFium's own extraction of text. With `--real`, false alarms are counted on the
PDF files of its folders `pdf_text` and `cuad_pdf`. Their words are compared with `--texts` (records whose
`meta.file` names the PDF file), and with what `pdftotext` prints where it is installed.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pypdfium2

from benchmarks.contract import Figure, Outcome, run
from fixtures.ciphers import TEXTS, build_pdf, list_ciphers
from lexveil.nlp.readers import Limits, Reason, UnreadableError, read_content, read_documents
from lexveil.nlp.readers.contract import Note

SEED = 7
_WORD = re.compile(r"[^\W_]+")
_CLEAN = ("pdf_text", "cuad_pdf")
_LIMITS = Limits(ocr=False)


def measure_speed(figures: dict[str, Figure]) -> int:
    """Add MB read in a CPU-second for each format; returns the number of files."""
    files: dict[str, list[Path]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable,
            "-m",
            "fixtures.generate",
            place,
            "--documents",
            "400",
            "--seed",
            str(SEED),
        ]
        subprocess.run(command, check=True, capture_output=True)
        for path in sorted(Path(place).rglob("*")):
            if path.is_file() and path.suffix in {".txt", ".md", ".html", ".docx", ".pdf", ".eml"}:
                files[path.suffix[1:]].append(path)
        for name, paths in files.items():
            size = sum(path.stat().st_size for path in paths)
            start = time.process_time()
            for path in paths:
                list(read_documents(path, _LIMITS))
            figures[f"mb_per_cpu_second_{name}"] = Figure(
                size / 1e6 / (time.process_time() - start), None, "MB/s", "higher"
            )
    pages = [build_pdf([(text, None)]) for text in TEXTS.values()] * 30
    start = time.process_time()
    for data in pages:
        document = pypdfium2.PdfDocument(io.BytesIO(data))
        for page in document:
            page.get_textpage().get_text_range()
        document.close()
    plain = time.process_time() - start
    start = time.process_time()
    for data in pages:
        read_content("a.pdf", data, _LIMITS)
    ratio = plain / (time.process_time() - start)
    figures["pdf_speed_beside_plain_pdfium"] = Figure(ratio, None, "times", "higher")
    return sum(map(len, files.values()))


def measure_ciphers(figures: dict[str, Figure]) -> int:
    """Add the share of ciphered layers that are found or decoded; returns their number."""
    outcomes: Counter[bool] = Counter()
    for text in TEXTS.values():
        for cipher in list_ciphers(text).values():
            for fonts in ([(text, cipher)], [(text, None), (text, cipher)]):
                whole = "\n".join([text] * len(fonts))
                try:
                    got = read_content("a.pdf", build_pdf(fonts), _LIMITS)
                    outcomes[_WORD.findall(got) == _WORD.findall(whole)] += 1
                except UnreadableError as unreadable:
                    outcomes[unreadable.reason is Reason.unreadable_text] += 1
    figures["ciphers_found"] = Figure(outcomes[True] / outcomes.total(), 0.95, "share", "higher")
    return outcomes.total()


def measure_real(real: Path, texts: Path | None, figures: dict[str, Figure]) -> dict[str, int]:
    """Add false alarms on sound files, and their words beside those of the references."""
    paths = [
        path
        for folder in _CLEAN
        for path in sorted((real / folder).glob("*"))
        if path.suffix.lower() == ".pdf"
    ]
    counts: Counter[str] = Counter()
    scores: list[tuple[float, float, float]] = []
    references = dict(_list_references(texts)) if texts else {}
    for path in paths:
        [reading, *_] = read_documents(path, _LIMITS)
        counts["pages"] += _count_pages(path)
        counts["hidden"] += sum(reading.notes.get(note, 0) for note in (Note.hidden_text, Note.covered_text))
        counts["unreadable"] += reading.reason is Reason.unreadable_text
        reference = references.get(path.stem.strip()) or _print_text(path)
        if reading.text is not None and reference:
            scores.append(compare(reading.text, reference))
    pages = max(counts["pages"], 1)
    figures["false_alarms_hidden"] = Figure(counts["hidden"] / pages, 0.005, "per page", "lower")
    figures["false_alarms_unreadable"] = Figure(
        counts["unreadable"] / max(len(paths), 1), 0.005, "share", "lower"
    )
    for place, (name, target) in enumerate((("recall", 0.97), ("precision", 0.958), ("pairs", 0.92))):
        if scores:
            value = sum(score[place] for score in scores) / len(scores)
            figures[f"pdf_word_{name}"] = Figure(value, target, "share", "higher")
    return {"real_files": len(paths), "real_pages": counts["pages"], "compared": len(scores)}


def compare(text: str, reference: str) -> tuple[float, float, float]:
    """Return the share of a reference's words that a text has, of its words, and of adjacent pairs."""
    got, wanted = _WORD.findall(text.casefold()), _WORD.findall(reference.casefold())
    common = sum((Counter(got) & Counter(wanted)).values())
    pairs = Counter(pairwise(got)) & Counter(pairwise(wanted))
    return (
        common / max(len(wanted), 1),
        common / max(len(got), 1),
        sum(pairs.values()) / max(len(wanted) - 1, 1),
    )


def _list_references(texts: Path) -> Iterator[tuple[str, str]]:
    import zstandard

    with zstandard.open(texts, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            yield Path(record["meta"]["file"]).stem.strip(), record["text"]


def _print_text(path: Path) -> str:
    program = shutil.which("pdftotext")
    if program is None:
        return ""
    printed = subprocess.run([program, str(path), "-"], capture_output=True, check=False)
    return printed.stdout.decode("utf-8", "replace")


def _count_pages(path: Path) -> int:
    try:
        return len(pypdfium2.PdfDocument(path))
    except pypdfium2.PdfiumError:
        return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--real", type=Path, help="folder with the folders pdf_text and cuad_pdf")
    parser.add_argument("--texts", type=Path, help="records with the texts of PDF files (jsonl.zst)")


def measure(options: argparse.Namespace) -> Outcome:
    """Return all figures."""
    figures: dict[str, Figure] = {}
    sizes = {"generated_files": measure_speed(figures), "ciphers": measure_ciphers(figures)}
    if options.real:
        sizes |= measure_real(options.real, options.texts, figures)
    return Outcome(figures, sizes, [SEED])


if __name__ == "__main__":
    run(__doc__, measure, _add_options)
