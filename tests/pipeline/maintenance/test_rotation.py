"""A rotated master key: documents open as before, the old key opens nothing, and a kill loses nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.transit import Transit, transit
from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.maintenance.rotation import rewrap_master_key, rotate_master_key
from lexveil.pipeline.masking.vault import restore_document
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.key_services import unwrap_master_key


def test_everything_opens_as_before(masked: Workspace) -> None:
    settings = Settings()
    doc_id = masked.with_settings(Settings()).catalogue.read().column("doc_id")[0].as_py()
    before = restore_document(masked.with_settings(settings), doc_id)
    masked.with_settings(settings).log.append("mask", "done", {})
    old = (masked.protected / "master.key").read_bytes()
    assert rotate_master_key(masked.with_settings(settings)) > 12
    assert (masked.protected / "master.key").read_bytes() != old
    assert (masked.protected / "master.key").stat().st_mode & 0o077 == 0
    assert restore_document(masked.with_settings(settings), doc_id) == before
    assert masked.with_settings(settings).log.verify().intact  # signed by a key that outlives the master key
    (masked.protected / "master.key").write_bytes(old)
    with pytest.raises(WorkspaceKeyError, match="is not the key"):
        _ = masked.with_settings(settings).keys


KILLED = """
import os, signal, sys
from pathlib import Path
from lexveil.pipeline.maintenance.rotation import rotate_master_key
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
root, when, service = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None
workspace = Workspace.open(root).with_settings(Settings(master_key_service=service))
rewrap_keys = KeyStore.rewrap_keys
def killed(self, new):
    if when == "after":
        rewrap_keys(self, new)
    os.kill(os.getpid(), signal.SIGKILL)
KeyStore.rewrap_keys = killed
rotate_master_key(workspace)
"""


def _rotate_and_be_killed(workspace: Workspace, when: str, service: str | None = None) -> None:
    command = [sys.executable, "-c", KILLED, str(workspace.root), when, service or ""]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_wrapping(masked: Workspace, when: str) -> None:
    doc_id = masked.with_settings(Settings()).catalogue.read().column("doc_id")[0].as_py()
    before = restore_document(masked.with_settings(Settings()), doc_id)
    _rotate_and_be_killed(masked, when)
    assert restore_document(masked.with_settings(Settings()), doc_id) == before
    rotate_master_key(masked.with_settings(Settings()))
    assert restore_document(masked.with_settings(Settings()), doc_id) == before
    assert not list(masked.protected.glob("master.key.*"))


def test_a_key_of_the_environment_is_rotated_by_its_keeper(masked: Workspace, monkeypatch: Any) -> None:
    digits = (masked.protected / "master.key").read_text().strip()
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", digits)
    with pytest.raises(WorkspaceKeyError, match="LEXVEIL_MASTER_KEY"):
        rotate_master_key(masked.with_settings(Settings()))


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transit]:
    pytest.importorskip("hvac")
    with transit() as engine:
        monkeypatch.setenv("VAULT_ADDR", engine.url)
        monkeypatch.setenv("VAULT_TOKEN", engine.token)
        yield engine


VAULT = Settings(master_key_service="vault://transit/lexveil")


class TestService:
    def test_from_a_file_to_services_and_back(self, masked: Workspace, vault: Transit, aws: str) -> None:
        import boto3

        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        own = masked.protected / "master.key"
        file, kms = Settings(), Settings(master_key_service=f"aws-kms://{key}")
        doc_id = masked.with_settings(file).catalogue.read().column("doc_id")[0].as_py()
        before, now = restore_document(masked.with_settings(file), doc_id), file
        for target in (VAULT, kms, kms, file):
            if target.master_key_service != now.master_key_service:
                with pytest.raises(WorkspaceKeyError, match="rotate-master-key"):
                    _ = masked.with_settings(target).keys
            masked.with_settings(target).log.append("rotate-master-key", "started", {})  # before it is there
            assert rotate_master_key(masked.with_settings(target)) > 12
            unwrap_master_key.cache_clear()
            assert restore_document(masked.with_settings(target), doc_id) == before
            assert own.exists() == (target is file)
            now = target
        assert masked.with_settings(file).log.verify().intact

    def test_from_the_environment_to_a_service_and_back(
        self, masked: Workspace, vault: Transit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = masked.protected / "master.key"
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", own.read_text().strip())
        own.unlink()
        assert rotate_master_key(masked.with_settings(VAULT)) > 12
        _ = masked.with_settings(VAULT).keys
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        assert rotate_master_key(masked.with_settings(Settings())) > 12
        _ = masked.with_settings(Settings()).keys
        with pytest.raises(WorkspaceKeyError, match="LEXVEIL_MASTER_KEY"):
            rotate_master_key(masked.with_settings(Settings()))

    def test_a_workspace_begun_at_a_service_has_no_key_file(self, tmp_path: Path, vault: Transit) -> None:
        workspace = Workspace.create_or_open(tmp_path / "w")
        workspace.with_settings(VAULT).log.append("ingest", "started", {})
        keys = workspace.with_settings(VAULT).keys.ensure_keys(["a"])
        assert not (workspace.protected / "master.key").exists()
        assert vault.calls == ["datakey", "decrypt"]  # one of each, however often the table is opened
        unwrap_master_key.cache_clear()
        assert workspace.with_settings(VAULT).keys.existing_keys(["a"]) == keys

    def test_wrapped_anew_after_the_services_key_was_rotated(self, tmp_path: Path, vault: Transit) -> None:
        workspace = Workspace.create_or_open(tmp_path / "w")
        keys = workspace.with_settings(VAULT).keys.ensure_keys(["a"])
        vault.keys["lexveil"].rotate()
        rewrap_master_key(workspace.with_settings(VAULT))
        vault.keys["lexveil"].least = 2
        unwrap_master_key.cache_clear()
        assert workspace.with_settings(VAULT).keys.existing_keys(["a"]) == keys
        with pytest.raises(WorkspaceKeyError, match="no service"):
            rewrap_master_key(workspace.with_settings(Settings()))

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("way", ["to", "from"])
    def test_a_kill_around_the_wrapping(self, tmp_path: Path, vault: Transit, when: str, way: str) -> None:
        workspace, file = Workspace.create_or_open(tmp_path / "w"), Settings()
        old, new = (file, VAULT) if way == "to" else (VAULT, file)
        keys = workspace.with_settings(old).keys.ensure_keys(["a"])
        _rotate_and_be_killed(workspace, when, new.master_key_service)
        settings = new if when == "after" else old
        assert workspace.with_settings(settings).keys.existing_keys(["a"]) == keys
        rotate_master_key(workspace.with_settings(new))
        assert workspace.with_settings(new).keys.existing_keys(["a"]) == keys
        assert (workspace.protected / "master.key").exists() == (way == "from")
        assert not list(workspace.protected.glob("master.key.*"))

    def test_a_service_out_of_reach_is_one_line(
        self, tmp_path: Path, vault: Transit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workspace = Workspace.create_or_open(tmp_path / "w")
        _ = workspace.with_settings(VAULT).keys
        unwrap_master_key.cache_clear()
        monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
        with pytest.raises(WorkspaceKeyError, match="cannot be reached") as caught:
            _ = workspace.with_settings(VAULT).keys
        assert vault.token not in "".join(traceback.format_exception(caught.value))
