from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).resolve().parents[3]


def test_hostile_uploads_are_refused_and_kill_nothing() -> None:
    program = Path(__file__).with_name("hostile.py")
    # The limit on memory (4 GiB of address space) is what a decompression bomb would hit.
    command = f"ulimit -v 4194304; exec {sys.executable} {program} 160 7"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    total, refused, _ = map(int, done.stdout.split())
    assert total > 250
    assert refused > total / 2
