"""Collect the public legal text that the table of lexical features is made from.

    python -m benchmarks.legal_text OUT --dc REPOSITORY --german REPOSITORY --chinese REPOSITORY

writes OUT/en.jsonl, de.jsonl and zh.jsonl for `python -m lexveil.nlp.lexical_training`, one passage per line:

en    contracts of ContraxSuite, masked as Lexveil masks, and sections of the Code of the District of Columbia
de    German federal law (github.com/bundestag/gesetze)
zh    Chinese law (github.com/LawRefBook/Laws)

A REPOSITORY is a local clone or its git directory. All of CUAD is left out, and so are the contracts of
filers with provisions in the corpora that `benchmarks.features` and `benchmarks.dp_utility` measure on.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.encrypted_real import records_of
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings

SEED = 7
MOST_CHARACTERS = 60_000  # of a contract
LAW_PASSAGES = {"german": 22_000, "chinese": 40_000}
GERMAN_LAWS = 1200
DC_SECTIONS = 9000

Passage = tuple[str, str]  # id of the document, text


def select_contracts() -> list[dict[str, Any]]:
    """Return the contracts of filers that are apart from those of the provisions, in order of their ids."""
    owners = {record["meta"]["contract"] for record in records_of("contract_provisions_ledgar_labels")}
    records = list(records_of("contraxsuite_contracts"))
    filers = {record["meta"].get("cik") for record in records if record["id"] in owners}
    apart = [r for r in records if r["id"] not in owners and r["meta"].get("cik") not in filers]
    return sorted(apart, key=lambda record: record["id"])


def read_contracts() -> Iterator[Passage]:
    """Mask the contracts, and divide them into passages."""
    settings = MaskSettings(detector="light")
    for record in select_contracts():
        (masked,) = mask_texts([record["text"][:MOST_CHARACTERS]], settings, bytes(32))
        for passage in split_passages(masked.text):
            yield record["id"], passage


def split_passages(text: str) -> Iterator[str]:
    """Yield passages of 60 words or more, of whole paragraphs where those are short."""
    words: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        more = paragraph.split()
        for start in range(0, len(more), 220):
            words += more[start : start + 220]
            if len(words) >= 60:
                yield " ".join(words)[:2500]
                words = []
    if len(words) >= 30:
        yield " ".join(words)


def read_dc_code(repository: Path) -> Iterator[Passage]:
    """Read sections of the Code of the District of Columbia: heading and text."""
    names = [
        name for name in list_files(repository) if re.match(r"us/dc/council/code/titles/.*/sections/", name)
    ]
    random.Random(SEED).shuffle(names)
    for name, content in zip(names, read_files(repository, names[:DC_SECTIONS]), strict=False):
        text = re.sub(r"<annotations?\b.*?</annotations?>", " ", content, flags=re.S)
        heading = re.search(r"<heading>(.*?)</heading>", text, re.S)
        body = _strip_tags(text[heading.end() :]) if heading else ""
        if heading and len(body) >= 100:
            yield name, f"{_strip_tags(heading[1])} {body[:2000]}"


def read_german_law(repository: Path) -> Iterator[Passage]:
    """Read paragraphs of German federal laws."""
    names = [name for name in list_files(repository) if name.endswith("index.md")]
    random.Random(SEED).shuffle(names)
    names = names[:GERMAN_LAWS]
    passages = [
        (name, text[:1500])
        for name, content in zip(names, read_files(repository, names), strict=True)
        for paragraph in re.split(r"\n(?=#)", re.sub(r"^---.*?---", "", content, flags=re.S))
        for text in [" ".join(paragraph.split())]
        if len(text) >= 80
    ]
    return iter(_draw(passages, LAW_PASSAGES["german"]))


def read_chinese_law(repository: Path) -> Iterator[Passage]:
    """Read paragraphs of Chinese laws, without local regulations and cases."""
    left_out = ("DLC/", "案例/", ".github/", "scripts/")
    names = [
        n for n in list_files(repository) if n.endswith(".md") and "/" in n and not n.startswith(left_out)
    ]
    passages = [
        (name, text[:800])
        for name, content in zip(names, read_files(repository, names), strict=True)
        for paragraph in re.split(r"\n\s*\n", content)
        for text in [" ".join(paragraph.split())]
        if len(text) >= 30
    ]
    return iter(_draw(passages, LAW_PASSAGES["chinese"]))


def list_files(repository: Path) -> list[str]:
    """Return the paths of all files of a repository's last commit, in order."""
    command = [
        "git",
        "-C",
        str(repository),
        "-c",
        "core.quotepath=off",
        "ls-tree",
        "-r",
        "--name-only",
        "HEAD",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def read_files(repository: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield the contents of files of a repository's last commit."""
    asked = "".join(f"HEAD:{name}\n" for name in names).encode()
    command = ["git", "-C", str(repository), "cat-file", "--batch"]
    content = subprocess.run(command, input=asked, capture_output=True, check=True).stdout
    place = 0
    while place < len(content):
        end = content.index(b"\n", place)
        size = int(content[place:end].split()[2])
        yield content[end + 1 : end + 1 + size].decode("utf-8", "replace")
        place = end + 2 + size


def _strip_tags(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def _draw(passages: list[Passage], number: int) -> list[Passage]:
    random.Random(SEED).shuffle(passages)
    return passages[:number]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    for name in ("dc", "german", "chinese"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="REPOSITORY")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sources: dict[str, Callable[[], Iterable[Passage]]] = {
        "de": lambda: read_german_law(arguments.german),
        "zh": lambda: read_chinese_law(arguments.chinese),
        "en": lambda: [*read_contracts(), *read_dc_code(arguments.dc)],
    }
    for language, read in sources.items():
        lines = [
            json.dumps({"document": one, "text": text}, ensure_ascii=False) + "\n" for one, text in read()
        ]
        (arguments.out / f"{language}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{language}: {len(lines)} passages")


if __name__ == "__main__":
    main()
