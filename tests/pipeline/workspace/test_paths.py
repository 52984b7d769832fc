"""Paths of a workspace: analysts' folders, the protected root, and the URLs of databases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import DatabaseSettings, LedgerSettings, Settings
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.storage import locate

PROTECTED = (
    "plan", "raw", "quarantine", "catalogue_file", "found", "held_back", "vault", "encoded", "training",
)  # fmt: skip
OPEN = ("masked", "models", "features", "runs")
POSTGRES = "postgresql://host/name"


@pytest.fixture
def paths(tmp_path: Path) -> WorkspacePaths:
    return WorkspacePaths(tmp_path / "work", "0a1b")


@pytest.fixture
def remote() -> WorkspacePaths:
    return WorkspacePaths(locate("memory://bucket/work"), "0a1b")


@pytest.mark.parametrize("name", PROTECTED)
def test_what_analysts_never_see(paths: WorkspacePaths, name: str) -> None:
    assert getattr(paths, name).is_relative_to(paths.protected)


@pytest.mark.parametrize("name", OPEN)
def test_what_analysts_may_be_given(paths: WorkspacePaths, name: str) -> None:
    assert getattr(paths, name) == paths.root / name
    assert not getattr(paths, name).is_relative_to(paths.protected)


def test_no_two_are_the_same(paths: WorkspacePaths) -> None:
    assert len({getattr(paths, name) for name in (*PROTECTED, *OPEN)}) == len(PROTECTED) + len(OPEN)


def test_nothing_is_created(paths: WorkspacePaths) -> None:
    _ = paths.raw, paths.url, paths.local, paths.database_url(Settings(), "keys.sqlite")
    assert not paths.root.exists()


class TestHere:
    def test_a_folder(self, paths: WorkspacePaths) -> None:
        assert not paths.remote
        assert paths.url == str(paths.root.resolve())
        assert paths.local == paths.protected

    def test_its_url_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert WorkspacePaths(Path("work")).url == str(tmp_path.resolve() / "work")


class TestRemote:
    def test_a_prefix(self, remote: WorkspacePaths) -> None:
        assert remote.remote
        assert remote.url == "memory://bucket/work"
        assert str(remote.masked).endswith("bucket/work/masked")

    def test_what_a_bucket_cannot_hold_is_kept_here(
        self, remote: WorkspacePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert remote.local == tmp_path / "lexveil" / "workspaces" / "0a1b"
        assert stat.S_IMODE(remote.local.stat().st_mode) == 0o700


class TestDatabases:
    def test_files_of_the_workspace_by_default(self, paths: WorkspacePaths) -> None:
        folder = paths.protected.resolve()
        assert paths.database_url(Settings(), "keys.sqlite") == f"sqlite:///{folder / 'keys.sqlite'}"
        assert paths.ledger_url(Settings()) == f"sqlite:///{folder / 'ledger.sqlite'}"

    def test_one_database_for_all(self, paths: WorkspacePaths, remote: WorkspacePaths) -> None:
        settings = Settings(database=DatabaseSettings(url=POSTGRES))
        for each in (paths, remote):
            assert each.database_url(settings, "keys.sqlite") == each.ledger_url(settings) == POSTGRES

    def test_a_ledger_of_its_own(self, paths: WorkspacePaths) -> None:
        settings = Settings(
            database=DatabaseSettings(url=POSTGRES), ledger=LedgerSettings(url="sqlite:///ledger")
        )
        assert paths.ledger_url(settings) == "sqlite:///ledger"
        assert paths.database_url(settings, "keys.sqlite") == POSTGRES

    def test_a_bucket_holds_no_database(self, remote: WorkspacePaths) -> None:
        with pytest.raises(SettingsError, match="LEXVEIL_DATABASE__URL"):
            remote.database_url(Settings(), "keys.sqlite")
        with pytest.raises(SettingsError, match="LEXVEIL_DATABASE__URL"):
            remote.ledger_url(Settings())
