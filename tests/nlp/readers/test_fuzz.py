"""A few mutations of a file of every format; `benchmarks/readers_fuzz.py` runs as many as one likes."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.readers_fuzz import FINDINGS, read_outcomes
from fixtures.mutations import build_seeds, mutate
from lexveil.nlp.readers import Limits

SEEDS = build_seeds()
LIMITS = Limits(max_seconds=60, max_memory=512 << 20, ocr=False)


@pytest.mark.parametrize("name", SEEDS)
def test_every_seed_is_sound(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SEEDS[name])
    assert set(read_outcomes(tmp_path / name, LIMITS)) == {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_mutated_file_gives_text_or_a_reason(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    outcomes: Counter[str] = Counter()
    for _ in range(12):
        (tmp_path / name).write_bytes(mutate(name, SEEDS[name], rng)[:50_000])
        outcomes.update(str(reason) for reason in read_outcomes(tmp_path / name, LIMITS))
    print(name, dict(outcomes))
    assert outcomes
    assert FINDINGS.isdisjoint(outcomes)
