"""Promise: an office of a joint training may be killed at any moment, or its disk be full, and all go on.

Some moments of those that `python -m benchmarks.joint_kills` tries, each with its own reason to go wrong: of
an office, of a hub, and (`benchmarks.joint_submitter`) of the rehearsal that has started all.
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
# An end of which some offices know.
OF_HUB = ("one told that all is complete",)
# Offices that go on without who has started them.
OF_REHEARSAL = ("two offices started",)
KILLED = {
    "office": ("joint_kills", MOMENTS),
    "hub": ("joint_kills", OF_HUB),
    "submitter": ("joint_submitter", OF_REHEARSAL),
}


@pytest.fixture(scope="module", params=KILLED)
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    benchmark, moments = KILLED[request.param]
    who = ["--who", request.param] if benchmark == "joint_kills" else []
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}", "--json", *who, "--only", *moments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=ROOT, check=True, timeout=3 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return {**json.loads(done.stdout), "moments": len(moments)}


@pytest.mark.parametrize("what", ["happened", "one_line", "goes_on", "same_bits", "charged_once"])
def test_all_go_on_with_the_same_bits_and_are_charged_once(found: dict[str, Any], what: str) -> None:
    assert found["figures"][what]["value"] == found["moments"], found["details"]
