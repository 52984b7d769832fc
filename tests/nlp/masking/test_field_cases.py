"""The field cases of `field_cases.py` and `field_cases_records.py`, masked with `light` from end to end.

What must be gone is gone wherever a word begins with it; what must stay is law, or an ordinary word that a
detector could take for a name.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from lexveil.nlp.masking.policy import Preset
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings
from tests.nlp.masking import field_cases, field_cases_parts, field_cases_records
from tests.nlp.masking.field_cases import Case

CASES = (*field_cases.CASES, *field_cases_parts.CASES, *field_cases_records.CASES)


@cache
def mask_all(preset: Preset) -> dict[str, str]:
    """Return the masked text of each case."""
    masked = mask_texts(
        [case.text for case in CASES], MaskSettings(preset=preset, detector="light"), b"k" * 32
    )
    return {case.name: one.text for case, one in zip(CASES, masked, strict=True)}


@pytest.mark.parametrize("preset", ["strict", "balanced", "court-publication"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_people_are_gone_and_the_law_stays(case: Case, preset: Preset) -> None:
    masked = mask_all(preset)[case.name]
    assert not [name for name in case.gone if re.search(rf"(?<!\w){re.escape(name)}", masked)]
    assert not [words for words in case.kept if words not in masked]
