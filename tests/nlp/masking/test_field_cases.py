"""Texts as they come from courts, law firms and regulators, in many languages, masked from end to end.

Each line of `field_cases/*.jsonl` is a text, whose people are all invented: `name` names the case, `text` is
the text, `gone` what must be masked wherever a word begins with it, and `kept` what must stay: law, or an
ordinary word that a detector could take for a name. A file holds a set of cases.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from lexveil.nlp.masking.policy import Preset
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings


class Case(NamedTuple):
    """A line of a file of cases."""

    name: str
    text: str
    gone: list[str]
    kept: list[str]


def load_cases() -> tuple[Case, ...]:
    """Return the cases of all files, in the order of their names."""
    files = sorted((Path(__file__).parent / "field_cases").glob("*.jsonl"))
    return tuple(Case(**json.loads(line)) for file in files for line in file.open(encoding="utf-8"))


CASES = load_cases()
PRESETS: tuple[Preset, ...] = get_args(Preset)
# Texts are read together, as in a job, but in parts: processes of tests share the cases.
BATCH = 20
# One batch of four is read by `make quick`, and all by `make test`.
NUMBERS = [
    pytest.param(number, marks=[pytest.mark.slow] if number // BATCH % 4 else [], id=case.name)
    for number, case in enumerate(CASES)
]


@cache
def mask_batch(batch: int, preset: Preset) -> list[str]:
    """Return the masked texts of the cases of a batch."""
    texts = [case.text for case in CASES[batch * BATCH : (batch + 1) * BATCH]]
    masked = mask_texts(texts, MaskSettings(preset=preset, detector="light"), b"k" * 32)
    return [one.text for one in masked]


@pytest.mark.parametrize("number", NUMBERS)
def test_people_are_gone_and_the_law_stays_in_every_preset(number: int) -> None:
    case = CASES[number]
    masked = {preset: mask_batch(number // BATCH, preset)[number % BATCH] for preset in PRESETS}
    left = {
        preset: [name for name in case.gone if re.search(rf"(?<!\w){re.escape(name)}", text)]
        for preset, text in masked.items()
    }
    lost = {preset: [words for words in case.kept if words not in text] for preset, text in masked.items()}
    assert not any(left.values()), left
    assert not any(lost.values()), lost


def test_names_of_cases_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
