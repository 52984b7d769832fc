"""Mutated files of every format against the readers: `python -m benchmarks.readers_fuzz --seconds 600`.

Each file is read in the reading process, whose limits are lowered. It must give a text or a reason within
them: what takes too long or too much memory, or ends the process, is a finding, and is kept in a folder.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from fixtures.mutations import build_seeds, mutate
from lexveil.nlp.readers import Limits, Reason, isolation
from lexveil.nlp.readers.contract import UnreadableError
from lexveil.nlp.readers.records import is_record_file

FINDINGS = frozenset({Reason.over_time, Reason.over_memory, Reason.crashed})
LIMITS = Limits(max_seconds=10, max_memory=512 << 20, ocr=False)
_LARGEST_SEED = 300_000


def read_outcomes(path: Path, limits: Limits) -> Iterator[Reason | None]:
    """Read a file as an ingest does; yields why something was not read, or None for what was."""
    if not is_record_file(path):
        for reading in isolation.read_documents(path, limits):
            yield reading.reason
        return
    try:
        for piece in isolation.plan_slices(path, limits):
            for record in isolation.read_slice(path, piece, limits):
                yield record if isinstance(record, Reason) else None
    except UnreadableError as error:
        yield error.reason


def main() -> None:
    """Mutate files until the time is over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="folders with further seeds")
    parser.add_argument("--keep", type=Path, default=Path("/tmp/readers_fuzz"))
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    seeds = build_seeds()
    for folder in options.more:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.stat().st_size < _LARGEST_SEED:
                seeds[path.name] = path.read_bytes()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    longest: dict[str, float] = defaultdict(float)
    findings: list[str] = []
    end, number = time.monotonic() + options.seconds, 0
    while time.monotonic() < end:
        name = sorted(seeds)[number % len(seeds)]
        rng = random.Random(f"{options.seed}:{number}:{name}")
        suffix = "".join(Path(name).suffixes[-2:] if name.endswith((".gz", ".xz")) else [Path(name).suffix])
        path = options.keep / f"now{suffix}"
        path.write_bytes(mutate(name, seeds[name], rng))
        started = time.monotonic()
        reasons = list(read_outcomes(path, LIMITS))
        longest[suffix] = max(longest[suffix], time.monotonic() - started)
        counts[suffix].update("text" if reason is None else reason.value for reason in {*reasons})
        if found := FINDINGS.intersection(reason for reason in reasons if reason):
            kept = options.keep / f"{'-'.join(sorted(found))}-{number}{suffix}"
            path.rename(kept)
            findings.append(kept.name)
        number += 1
    result = {
        "files": number,
        "findings": findings,
        "longest_seconds": {suffix: round(seconds, 2) for suffix, seconds in sorted(longest.items())},
        "outcomes": {suffix: dict(count) for suffix, count in sorted(counts.items())},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
