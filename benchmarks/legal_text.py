"""Collect the public legal text that the table of lexical features is made from.

    python -m benchmarks.legal_text OUT --dc REPOSITORY --german REPOSITORY --chinese REPOSITORY

writes OUT/en.jsonl, de.jsonl and zh.jsonl for `python -m lexveil.nlp.lexical_training`, one passage per line,
and OUT/headings.jsonl, the headings of the contracts, for `python -m lexveil.nlp.encoders.learn_names`:

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
from itertools import pairwise
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

# A number, some words, and a stop, a dash or an empty line before a capital.
_HEADING = re.compile(
    r"(?:^|[\s\xa0\"“_*.;])"
    r"(?:(?:Section|SECTION|Sec\.|SEC\.|Clause|CLAUSE|§)\s*)?"
    r"(?:\d{1,2}(?:\.\d{1,2}){0,3}|\([a-zA-Z]{1,3}\)|[A-Z]|[IVX]{1,5}|\d{1,2}\.?[A-Z])[.):]{0,2}[\s\xa0_]+"
    r"([A-Z][A-Za-z,;&'’/ \-\xa0]{2,70}?)[ \t_\xa0]*"
    r"(?:[.:;](?:[\s\xa0_]*(?:--|-|—|–))?|\n[\s\xa0]*\n|[ ]?(?:--|—|–))[\s\xa0_]*(?=[\"“A-Z(\[])"
)
_SMALL_WORDS = {
    "of", "and", "or", "the", "to", "in", "for", "on", "by", "with", "a", "an", "as", "from", "other", "than",
}  # fmt: skip


def select_contracts() -> list[dict[str, Any]]:
    """Return the contracts of filers that are apart from those of the provisions, in order of their ids."""
    owners = {record["meta"]["contract"] for record in records_of("contract_provisions_ledgar_labels")}
    records = list(records_of("contraxsuite_contracts"))
    filers = {record["meta"].get("cik") for record in records if record["id"] in owners}
    apart = [r for r in records if r["id"] not in owners and r["meta"].get("cik") not in filers]
    return sorted(apart, key=lambda record: record["id"])


def mask_contracts() -> Iterator[Passage]:
    """Mask the contracts."""
    settings = MaskSettings(detector="light")
    for record in select_contracts():
        (masked,) = mask_texts([record["text"][:MOST_CHARACTERS]], settings, bytes(32))
        yield record["id"], masked.text


def find_headings(text: str) -> Iterator[tuple[str, str]]:
    """Yield the numbered headings of a contract, in lower case, each with the text below it."""
    found = [match for match in _HEADING.finditer(text) if _is_heading(match[1].split())]
    for match, after in pairwise([*found, None]):
        assert match is not None
        below = " ".join(text[match.end() : after.start() if after else match.end() + 2500].split())
        heading = re.sub(r"[^a-z&/ -]", "", " ".join(match[1].lower().split())).strip(" -")
        if len(below) >= 80 and len(heading) >= 3:
            yield heading, below[:2500]


def _is_heading(words: list[str]) -> bool:
    """Return True for up to seven words that begin with capitals, but for small ones."""
    written = (word[0].isupper() or word.lower() in _SMALL_WORDS for word in words if word[0].isalpha())
    return 1 <= len(words) <= 7 and all(written)


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
    contracts = list(mask_contracts())
    passages = [(one, passage) for one, text in contracts for passage in split_passages(text)]
    headings = [
        json.dumps({"document": one, "heading": heading, "text": below}, ensure_ascii=False) + "\n"
        for one, text in contracts
        for heading, below in find_headings(text)
    ]
    (arguments.out / "headings.jsonl").write_text("".join(headings), encoding="utf-8")
    print(f"headings: {len(headings)}")
    sources: dict[str, Callable[[], Iterable[Passage]]] = {
        "de": lambda: read_german_law(arguments.german),
        "zh": lambda: read_chinese_law(arguments.chinese),
        "en": lambda: [*passages, *read_dc_code(arguments.dc)],
    }
    for language, read in sources.items():
        lines = [
            json.dumps({"document": one, "text": text}, ensure_ascii=False) + "\n" for one, text in read()
        ]
        (arguments.out / f"{language}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{language}: {len(lines)} passages")


if __name__ == "__main__":
    main()
