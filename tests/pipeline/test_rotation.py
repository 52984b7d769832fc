"""A rotated master key: documents open as before, the old key opens nothing, and a kill loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import audit_log
from pipeline.errors import KeyProblem
from pipeline.keys import key_store
from pipeline.rotation import rotate_master_key
from pipeline.settings import Settings
from pipeline.stages.ingest import read_catalogue
from pipeline.stages.mask import restore_document
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]


def test_everything_opens_as_before(masked: Workspace) -> None:
    settings = Settings()
    doc_id = read_catalogue(masked, Settings()).column("doc_id")[0].as_py()
    before = restore_document(masked, settings, doc_id)
    audit_log.append(masked, settings, "mask", "done", {})
    old = (masked.protected / "master.key").read_bytes()
    assert rotate_master_key(masked, settings) > 12
    assert (masked.protected / "master.key").read_bytes() != old
    assert (masked.protected / "master.key").stat().st_mode & 0o077 == 0
    assert restore_document(masked, settings, doc_id) == before
    assert audit_log.verify(masked, settings).intact  # signed by a key that outlives the master key
    (masked.protected / "master.key").write_bytes(old)
    with pytest.raises(KeyProblem, match="isn't the key"):
        key_store(masked, settings)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.rotation import rotate_master_key
from pipeline.settings import Settings
from pipeline.workspace import Workspace
from privacy.keystore import KeyStore
place, when = Workspace.open(Path(sys.argv[1])), sys.argv[2]
rewrap = KeyStore.rewrap
def killed(self, new):
    if when == "after":
        rewrap(self, new)
    os.kill(os.getpid(), signal.SIGKILL)
KeyStore.rewrap = killed
rotate_master_key(place, Settings())
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_wrapping(masked: Workspace, when: str) -> None:
    doc_id = read_catalogue(masked, Settings()).column("doc_id")[0].as_py()
    before = restore_document(masked, Settings(), doc_id)
    command = [sys.executable, "-c", KILLED, str(masked.root), when]
    died = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert died.returncode == -signal.SIGKILL
    assert restore_document(masked, Settings(), doc_id) == before
    rotate_master_key(masked, Settings())
    assert restore_document(masked, Settings(), doc_id) == before
    assert not list(masked.protected.glob("master.key.*"))


def test_a_key_of_the_environment_is_rotated_by_its_keeper(masked: Workspace, monkeypatch: Any) -> None:
    digits = (masked.protected / "master.key").read_text().strip()
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", digits)
    with pytest.raises(KeyProblem, match="LEXVEIL_MASTER_KEY"):
        rotate_master_key(masked, Settings())
