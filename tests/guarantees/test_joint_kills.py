"""Promise: an office of a joint training may be killed at any moment, or its disk be full, and all go on.

Three moments of those that `python -m benchmarks.joint_kills` tries: each has its own reason to go wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[2]
# A charge that the log lacks; a last step that one office has and another lacks; an upload half written.
MOMENTS = ("in the ledger, not in the log", "one list of the last step sent", "disk full at an upload")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.joint_kills", "--json", "--only", *MOMENTS],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT, check=True, timeout=3 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("what", ["happened", "one_line", "goes_on", "same_bits", "charged_once"])
def test_all_go_on_with_the_same_bits_and_are_charged_once(found: dict[str, Any], what: str) -> None:
    assert found["figures"][what]["value"] == len(MOMENTS), found["details"]
