"""The master key: where it is looked for, what is refused, and what a killed rotation leaves."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.keys import (
    find_key_file,
    load_given_key,
    load_master_key,
    next_key_path,
    open_current_store,
    open_key_store,
    own_key_path,
    read_key_service,
    translate_key_errors,
)
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.storage import locate
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import MasterKey, MasterKeyError

A, B, C = ("0a" * 32, "0b" * 32, "0c" * 32)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "work")


def key_in(path: Path, digits: str) -> Path:
    path.write_text(digits)
    path.chmod(0o600)
    return path


def same(key: MasterKey | None, digits: str) -> bool:
    """True if the key is that of these digits; it cannot be printed or compared."""
    return key is not None and key.derive("test") == MasterKey.from_hex(digits).derive("test")


class TestOrder:
    def test_the_environment_then_the_configured_file_then_its_own(
        self, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key_in(own_key_path(workspace), A)
        assert same(load_master_key(workspace, Settings()), A)
        settings = Settings(master_key_file=key_in(tmp_path / "configured", B))
        assert same(load_master_key(workspace, settings), B)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", C)
        assert same(load_master_key(workspace, settings), C)

    def test_an_empty_variable_is_none(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        key_in(own_key_path(workspace), A)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "")
        assert same(load_master_key(workspace, Settings()), A)

    def test_its_own_is_created_where_that_is_wanted(self, workspace: Workspace) -> None:
        load_master_key(workspace, Settings(), create=True)
        assert stat.S_IMODE(own_key_path(workspace).stat().st_mode) == 0o600
        digits = own_key_path(workspace).read_text()
        load_master_key(workspace, Settings())
        assert own_key_path(workspace).read_text() == digits

    def test_a_given_key_creates_nothing(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        assert load_given_key(Settings()) is None
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", A)
        assert same(load_given_key(Settings()), A)
        load_master_key(workspace, Settings())
        assert not own_key_path(workspace).exists()

    def test_the_file_of_a_key(
        self, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configured = Settings(master_key_file=tmp_path / "configured")
        assert find_key_file(workspace, Settings()) == own_key_path(workspace)
        assert find_key_file(workspace, configured) == tmp_path / "configured"
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", A)
        assert find_key_file(workspace, configured) is None

    def test_a_bucket_never_has_one(self) -> None:
        with pytest.raises(WorkspaceKeyError, match="master_key_file or LEXVEIL_MASTER_KEY"):
            load_master_key(WorkspacePaths(locate("memory://bucket/work"), "0a"), Settings())


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("missing", "it is missing; put its file back"),
            ("mode", "run chmod 600"),
            ("length", "64 hexadecimal digits"),
            ("wrong_key", "not the key of this workspace"),
            ("service_unreachable", "cannot be reached"),
            ("never heard of", "never heard of"),
        ],
    )
    def test_each_is_one_line(self, code: str, reason: str) -> None:
        with pytest.raises(WorkspaceKeyError) as caught, translate_key_errors():
            raise MasterKeyError(code)
        assert str(caught.value).startswith("the master key cannot be used: ")
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2

    def test_other_errors_pass(self) -> None:
        with pytest.raises(ValueError, match="other"), translate_key_errors():
            raise ValueError("other")

    @pytest.mark.parametrize(
        ("digits", "mode", "reason"),
        [
            (A, 0o644, "others may read it"),
            (A[:-2], 0o600, "64 hexadecimal digits"),
            ("x" * 64, 0o600, "64 hexadecimal digits"),
        ],
    )
    def test_files(self, workspace: Workspace, tmp_path: Path, digits: str, mode: int, reason: str) -> None:
        path = key_in(tmp_path / "configured", digits)
        path.chmod(mode)
        with pytest.raises(WorkspaceKeyError, match=reason):
            load_master_key(workspace, Settings(master_key_file=path))

    def test_another_workspaces_key(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", A)
        open_key_store(workspace, Settings(), create=True).ensure_keys(["document"])
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", B)
        with pytest.raises(WorkspaceKeyError, match="not the key of this workspace"):
            open_key_store(workspace, Settings())


class TestStores:
    def test_keys_come_back(self, workspace: Workspace) -> None:
        keys = open_key_store(workspace, Settings(), create=True).ensure_keys(["document"])
        assert open_key_store(workspace, Settings()).existing_keys(["document"]) == keys

    def test_a_rotation_that_was_killed_is_finished(self, workspace: Workspace) -> None:
        """The keys are wrapped by the new one, which still waits under its own name."""
        own, new = own_key_path(workspace), next_key_path(own_key_path(workspace))
        keys = open_key_store(workspace, Settings(), create=True).ensure_keys(["document"])
        wrapped_by, old = own.read_text(), key_in(own.with_name("old"), A)
        own.rename(new)
        old.rename(own)
        assert open_key_store(workspace, Settings()).existing_keys(["document"]) == keys
        assert own.read_text() == wrapped_by
        assert not new.exists()

    def test_a_new_key_that_wraps_nothing_changes_nothing(self, workspace: Workspace) -> None:
        """The rotation was killed before the keys were wrapped by it."""
        own = own_key_path(workspace)
        keys = open_key_store(workspace, Settings(), create=True).ensure_keys(["document"])
        new = key_in(next_key_path(own), B)
        assert open_key_store(workspace, Settings()).existing_keys(["document"]) == keys
        assert new.read_text() == B

    def test_where_the_key_is_now(self, workspace: Workspace) -> None:
        keys = open_key_store(workspace, Settings(), create=True).ensure_keys(["document"])
        wanted = Settings(master_key_service="vault://transit/key")
        assert read_key_service(workspace, wanted) is None
        assert open_current_store(workspace, wanted).existing_keys(["document"]) == keys
