"""Masking of real texts and back: is every character restored, and is anything masked still to be read?

Every folder of the corpora that holds text is sampled. Each document is detected once and masked under four
policies (tokens, surrogates, generalizations, court publication); each time the original is restored from the
replacements and compared, and the second pass's verdict is counted. `strings_left` is counted by another and
simpler way than the second pass takes: the masked strings (names, places, contacts, numbers) that still
stand, letter by letter and as whole words. Counted separately: `law` (inside of a citation), `kept` (what
the policy keeps, or a word of it), and `ordinary` (words of drafting, and those that the document writes
small).

No text is ever printed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.citations import citations
from lexveil.nlp.detection.detector import Detection, Detector
from lexveil.nlp.entity_types import CONTEXTUAL_TYPES
from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import restore_text
from lexveil.nlp.masking.policy import Policy, build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import JURISDICTIONS, LEGAL_WORDS
from lexveil.privacy.pseudonyms import surrogate_seed

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
POLICIES: dict[str, Policy] = {
    "balanced": build_policy(),
    "surrogates": build_policy(direct="surrogate", quasi="surrogate"),
    "generalised": build_policy(direct="generalise", quasi="generalise"),
    "court-publication": build_policy("court-publication"),
}
KEY = bytes(range(32))
_SHORTEST, _SHORTEST_WITH_DIGITS = 4, 5
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Text:
    id: str
    text: str


def corpora(folder: Path) -> dict[str, Path]:
    """The file of each corpus that holds text."""
    found = {path.parent.name: path for path in folder.glob("*/data.jsonl.zst")}
    return dict(sorted({**found, **{path.parent.name: path for path in folder.glob("tab/*.json")}}.items()))


def sample(path: Path, size: int, chosen: random.Random) -> list[Text]:
    """`size` documents of one corpus, every one as likely as any other."""
    kept: list[Text] = []
    for number, text in enumerate(_texts(path)):
        if len(kept) < size:
            kept.append(text)
        elif (place := chosen.randrange(number + 1)) < size:
            kept[place] = text
    return kept


def _texts(path: Path) -> Iterator[Text]:
    if path.suffix == ".json":
        for row in json.loads(path.read_text(encoding="utf-8")):
            yield Text(row["doc_id"], row["text"])
        return
    import io

    import zstandard

    with path.open("rb") as raw:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8", newline="\n")
        for line in lines:
            row = json.loads(line)
            yield Text(str(row["id"]), row["text"])


def strings_left(text: str, checked: CheckedText) -> Counter[str]:
    """Masked strings that stand in the output: `left`, and apart from them `law`, `kept` and `ordinary`."""
    masked = checked.masked
    output = masked.text
    inserted = [(r.start, r.end) for r in masked.replacements]
    wanted = {
        r.original
        for r in masked.replacements
        if r.type not in CONTEXTUAL_TYPES and _tells(r.original) and r.original != r.text
    }
    small = {m.group().lower() for m in _WORD.finditer(text) if m.group().islower()}
    law = _law(text)
    kept = [(k.span.start, k.span.end) for k in masked.kept]
    names_kept = " | ".join({text[start:end] for start, end in kept}).casefold()
    counts: Counter[str] = Counter()
    for string in wanted:
        bounded = rf"(?<!\w){re.escape(string)}(?!\w)"
        for match in re.finditer(bounded, output):
            if any(start < match.end() and match.start() < end for start, end in inserted):
                continue
            place = _source(masked.replacements, match.start())
            there = place, place + len(string)
            if _inside(there, law):
                counts["law"] += 1
            elif _inside(there, kept) or re.search(bounded.casefold(), names_kept):
                counts["kept"] += 1
            elif _is_ordinary(string, small):
                counts["ordinary"] += 1
            else:
                counts["left"] += 1
    return counts


def _tells(string: str) -> bool:
    letters = [c for c in string if c.isalnum()]
    return len(letters) >= (_SHORTEST_WITH_DIGITS if any(c.isdigit() for c in letters) else _SHORTEST)


def _law(text: str) -> list[tuple[int, int]]:
    whole = NormalizedText.of(text)
    return [whole.to_original(start, end) for start, end in citations(whole.text)]


def _inside(place: tuple[int, int], ranges: list[tuple[int, int]]) -> bool:
    return any(start < place[1] and place[0] < end for start, end in ranges)


def _is_ordinary(string: str, small: set[str]) -> bool:
    words = [m.group().lower() for m in _WORD.finditer(string)]
    return bool(words) and all(
        form in known
        for word in words
        for form in [
            word if word in small or word in LEGAL_WORDS or word in JURISDICTIONS else word.removesuffix("s")
        ]
        for known in [small | LEGAL_WORDS | JURISDICTIONS]
    )


def _source(replacements: Any, place: int) -> int:
    """A place of the output, outside of what was put in -> the same place of the original."""
    shift = 0
    for replacement in replacements:
        if replacement.end > place:
            break
        shift = replacement.source_end - replacement.end
    return place + shift


def examine(document: Text, found: Detection, policy: Policy) -> tuple[bool, CheckedText]:
    """(whether the original comes back, the outcome)."""

    def keyed(kind: str, name: str, attempt: int) -> int:
        return surrogate_seed(KEY, document.id, kind, name, attempt)

    scope = Scope([DocumentNames.read(document.text, found.spans)], keyed, found.language)
    checked = anonymize_text(document.text, found.spans, policy, scope, found.served)
    return restore_text(checked.text, checked.masked.replacements) == document.text, checked


def measure(arguments: argparse.Namespace) -> Outcome:
    paths = corpora(arguments.corpora)
    if not paths:
        sys.exit(f"there are no corpora in {arguments.corpora}")
    details: dict[str, Any] = {}
    total: Counter[str] = Counter()
    for name, path in paths.items():
        if arguments.only and name not in arguments.only:
            continue
        documents = sample(path, arguments.documents, random.Random(arguments.seed))
        start = time.process_time()
        counts: Counter[str] = Counter()
        for document in documents:
            found = Detector.load(arguments.detector).detect_many([document.text])[0]
            for policy_name, policy in POLICIES.items():
                whole, checked = examine(document, found, policy)
                counts["round_trips"] += whole
                counts["maskings"] += 1
                counts[f"{policy_name} {checked.verdict}"] += 1
                for reason, n in checked.reasons.items():
                    counts[f"reason {reason}"] += n
                for kind, n in strings_left(document.text, checked).items():
                    counts[f"strings {kind}"] += n
        counts["documents"], counts["characters"] = len(documents), sum(len(d.text) for d in documents)
        total.update(counts)
        details[name] = {**dict(sorted(counts.items())), "cpu_seconds": round(time.process_time() - start, 1)}
        print(f"{name}: {json.dumps(details[name])}", file=sys.stderr)
    share = 100 * total["round_trips"] / max(1, total["maskings"])
    verdicts = {
        f"{policy}_{verdict}".lower(): Figure(total[f"{policy} {verdict}"], None, "documents", "lower")
        for policy in POLICIES
        for verdict in ("PASS", "REVIEW", "FAIL")
    }
    return Outcome(
        figures={
            "round_trip": Figure(share, 100.0, "%", "higher"),
            "strings_left": Figure(total["strings left"], 0, "strings", "lower"),
            **verdicts,
        },
        n={"documents": total["documents"], "characters": total["characters"], "maskings": total["maskings"]},
        seeds=[arguments.seed],
        details={"detector": arguments.detector, **details},
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=25, help="of each corpus (default: 25)")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--only", nargs="*", help="names of corpora")
    parser.add_argument("--detector", default="light")
    parser.add_argument("--seed", type=int, default=7)


if __name__ == "__main__":
    run(__doc__, measure, options)
