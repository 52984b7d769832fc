"""Readers of documents: speed by format, and for PDF fidelity, ciphers found and false alarms.

`python -m benchmarks.readers --real ../shared/corpora/real_files --texts FILE.jsonl.zst --formats
../shared/corpora/real_formats`. Speed is measured on generated files, PDF beside PDFium's own extraction of
text; all beside Tika, pdftotext and pandoc, where the package `extractous` and the programs are installed (a
program's time includes its start for every file).

With `--real`, false alarms are counted on the PDF files of its folders `pdf_text` and `cuad_pdf`. Their words
are compared with `--texts` (records whose `meta.file` names the PDF file), and with what `pdftotext` prints.
With `--pairs`, DOCX and HTML files are compared with the text of the XML (`.xml`, `.akn`) of the same name,
and those without one with what pandoc prints.
With `--formats`, the files are counted from which five words or more come, of those from which they come by
any reader, and their speed is measured, both beside Tika.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pypdfium2

from benchmarks.contract import Figure, Outcome, run
from fixtures.ciphers import TEXTS, build_pdf, list_ciphers
from lexveil.nlp.readers import Limits, Reason, UnreadableError, read_content, read_documents
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.records import is_record_file

SEED = 7
_WORD = re.compile(r"[^\W_]+")
_CLEAN = ("pdf_text", "cuad_pdf")
_LIMITS = Limits(ocr=False)
_FEW_WORDS = 5
_OFFICE = frozenset({"doc", "docx", "odt", "rtf", "xls", "xlsx", "pptx", "msg"})
_PAIR_TARGETS = {"docx": (0.971, 0.972, 0.954), "html": (0.919, 0.917, 0.907)}
_PROGRAMS = (
    ("pdftotext", (), ("pdf",)),
    ("pandoc", ("--to", "plain"), ("docx", "html", "odt", "real_odt", "real_rtf")),
)


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
            _add_speeds(name, paths, figures)
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


def _add_speeds(name: str, paths: list[Path], figures: dict[str, Figure]) -> None:
    """Add the speed at which this and the other readers read files of a format."""
    size = sum(path.stat().st_size for path in paths)
    readers: dict[str, Callable[[Path], object]] = {"": _read}
    if (extract := _load_tika()) is not None:
        readers["_tika"] = extract
    for program, arguments, formats in _PROGRAMS:
        if shutil.which(program) and name in formats:
            readers[f"_{program}"] = partial(_run, [program, *arguments])
    for reader, call in readers.items():
        call(paths[0])
        start = _measure_time()
        for path in paths:
            call(path)
        figures[f"mb_per_cpu_second_{name}{reader}"] = Figure(
            size / 1e6 / max(_measure_time() - start, 1e-9), None, "MB/s", "higher"
        )


def _measure_time() -> float:
    """Return the CPU time of this process and of those that it has run."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _read(path: Path) -> str:
    return "\n".join(reading.text or "" for reading in read_documents(path, _LIMITS))


def _run(command: list[str], path: Path) -> None:
    last = ["-"] if command[0] == "pdftotext" else []
    subprocess.run([*command, str(path), *last], capture_output=True, check=False)


@cache
def _load_tika() -> Callable[[Path], str] | None:
    try:
        extractor: Any = importlib.import_module("extractous").Extractor()
    except ImportError:
        return None

    def extract(path: Path) -> str:
        try:
            return extractor.extract_file_to_string(str(path))[0]
        except Exception:  # of its own
            return ""

    return extract


def measure_formats(folder: Path, figures: dict[str, Figure]) -> int:
    """Add the share of files of each format from which words come, and the speed; returns their number."""
    formats: dict[str, list[Path]] = defaultdict(list)
    readers: dict[str, Callable[[Path], str]] = {"": _read}
    if (extract := _load_tika()) is not None:
        readers["_tika"] = extract
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(folder.iterdir()):
        suffix = path.suffix[1:].lower()
        texts = {
            reader: len(_WORD.findall(call(path))) >= _FEW_WORDS
            for reader, call in readers.items()
            if not is_record_file(path)
        }
        if any(texts.values()):
            formats[suffix].append(path)
            counts[suffix].update(reader for reader, has_words in texts.items() if has_words)
    for suffix, paths in formats.items():
        for reader in readers:
            share = counts[suffix][reader] / len(paths)
            figures[f"files_with_words_{suffix}{reader}"] = Figure(share, 0.9, "share", "higher")
        if suffix in _OFFICE:
            _add_speeds(f"real_{suffix}", paths * 5, figures)
    return sum(map(len, formats.values()))


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


def measure_pairs(folders: list[Path], figures: dict[str, Figure]) -> dict[str, int]:
    """Add words of DOCX and HTML files beside those of their references; returns the numbers of files."""
    sizes: dict[str, int] = {}
    for suffix, targets in _PAIR_TARGETS.items():
        scores: list[tuple[float, float, float]] = []
        for folder in folders:
            for reference, paths in _list_pairs(folder, suffix):
                scores.append(compare("\n".join(map(_read, paths)), reference))
        sizes[f"{suffix}_pairs"] = len(scores)
        for place, (name, target) in enumerate(zip(("recall", "precision", "pairs"), targets, strict=True)):
            if scores:
                value = sum(score[place] for score in scores) / len(scores)
                figures[f"{suffix}_word_{name}"] = Figure(value, target, "share", "higher")
    return sizes


def _list_pairs(folder: Path, suffix: str) -> Iterator[tuple[str, list[Path]]]:
    """Yield a reference and its files: an XML may be that of `x-main.docx` and `x-order.docx`."""
    left = sorted(folder.glob(f"*.{suffix}"))
    for xml in sorted([*folder.glob("*.xml"), *folder.glob("*.akn")]):
        found = [path for path in left if path.stem == xml.stem or path.stem.startswith(f"{xml.stem}-")]
        if found:
            yield _read_xml(xml), found
            left = [path for path in left if path not in found]
    for path in left if shutil.which("pandoc") else ():
        command = ["pandoc", "--from", suffix, "--to", "plain", "--wrap=none", str(path)]
        printed = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
        if printed.strip():
            yield printed, [path]


def _read_xml(path: Path) -> str:
    """Return all text of an XML file but its metadata."""
    root = ElementTree.parse(path).getroot()
    for parent in root.iter():
        for child in [child for child in parent if child.tag.endswith("}meta")]:
            parent.remove(child)
    return "".join(root.itertext())


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
    parser.add_argument("--formats", type=Path, help="folder with files of other formats")
    parser.add_argument("--pairs", type=Path, nargs="*", help="folders with DOCX or HTML files and their XML")
    parser.add_argument("--texts", type=Path, help="records with the texts of PDF files (jsonl.zst)")


def measure(options: argparse.Namespace) -> Outcome:
    """Return all figures."""
    figures: dict[str, Figure] = {}
    sizes = {"generated_files": measure_speed(figures), "ciphers": measure_ciphers(figures)}
    if options.formats:
        sizes["formats"] = measure_formats(options.formats, figures)
    if options.real:
        sizes |= measure_real(options.real, options.texts, figures)
    if options.pairs:
        sizes |= measure_pairs(options.pairs, figures)
    return Outcome(figures, sizes, [SEED])


if __name__ == "__main__":
    run(__doc__, measure, _add_options)
