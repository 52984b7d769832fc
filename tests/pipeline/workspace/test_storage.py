"""Storage: how locations become paths, and that files are written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace import storage
from lexveil.pipeline.workspace.storage import (
    UnknownStorageError,
    delete_old_versions,
    is_remote,
    locate,
    make_state_folder,
    put_if_absent,
    read_files,
    read_json,
    replace_file,
    sync_file,
    to_json,
    to_url,
    write_bytes,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A prefix of fsspec's file system in memory."""
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield locate("memory://bucket/a")
    MemoryFileSystem.store.clear()


class TestLocations:
    @pytest.mark.parametrize("name", ["/a/b", "a/b", ".", "C:stream.txt", "a:b/c", "s3:key", "/in/x://y"])
    def test_names_of_folders(self, name: str) -> None:
        assert locate(name) == Path(name)
        assert not is_remote(locate(name))

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("file:///a/b", "/a/b"),
            ("file:/a/b", "/a/b"),
            ("local:///a%20b/c", "/a b/c"),
            ("file:///a/b/", "/a/b"),
        ],
    )
    def test_urls_of_this_machine(self, url: str, path: str) -> None:
        assert locate(url) == Path(path)

    @pytest.mark.parametrize("slashes", ["/", "//"])
    def test_a_url_that_went_through_pathlib(self, slashes: str) -> None:
        assert to_url(locate(f"memory:{slashes}bucket/a/")) == to_url(locate("memory://bucket/a"))

    def test_a_path_stays_what_it_is(self, memory: Path, tmp_path: Path) -> None:
        assert locate(memory) is memory
        assert locate(tmp_path) == tmp_path

    def test_an_address_leads_back_from_any_folder(
        self, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        addresses = [to_url(Path("below")), to_url(memory / "x")]
        monkeypatch.chdir("/")
        assert locate(addresses[0]) == tmp_path.resolve() / "below"
        assert to_url(locate(addresses[1])) == addresses[1]

    @pytest.mark.parametrize("url", ["nowhere://bucket/a", "mailto:/someone", "x-y+z.1://a"])
    def test_unknown_kinds_are_refused(self, url: str) -> None:
        with pytest.raises(UnknownStorageError, match=r"is not a known kind of storage"):
            locate(url)

    def test_a_package_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from lexveil.pipeline.workspace import remote

        def fail(*_: Any, **__: Any) -> None:
            raise ImportError

        monkeypatch.setattr(remote, "RemotePath", fail)
        with pytest.raises(UnknownStorageError, match=r"needs lexveil\[aws\]"):
            locate("s3://bucket")
        with pytest.raises(UnknownStorageError, match="the fsspec package for it"):
            locate("gs://bucket")


class TestWrites:
    def test_a_file_is_replaced_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "file.bin"
        write_bytes(path, b"first")
        write_bytes(path, b"second")
        assert path.read_bytes() == b"second"
        assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]

    @pytest.mark.parametrize(("asked", "umask", "given"), [(0o666, 0o022, 0o644), (0o600, 0o022, 0o600)])
    def test_its_mode_is_cut_by_the_umask(self, tmp_path: Path, asked: int, umask: int, given: int) -> None:
        before = os.umask(umask)
        try:
            write_bytes(tmp_path / "file", b"x", asked)
            write_bytes(tmp_path / "file", b"x", asked)
        finally:
            os.umask(before)
        assert mode(tmp_path / "file") == given

    @pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
    def test_a_failed_block_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        path = tmp_path / "file"
        write_bytes(path, b"old")
        with pytest.raises(error), replace_file(path) as sink:  # noqa: PT012
            sink.write(b"new")
            raise error
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_nobody_sees_the_new_content_before_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_bytes(path, b"old")
        with replace_file(path) as sink:
            sink.write(b"new")
            sink.flush()
            assert path.read_bytes() == b"old"
        assert path.read_bytes() == b"new"

    def test_it_takes_over_what_the_same_process_left(self, tmp_path: Path) -> None:
        (tmp_path / f"file.{os.getpid()}.partial").write_bytes(b"left by a killed thread")
        write_bytes(tmp_path / "file", b"x")
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]

    def test_file_and_folder_are_synced_in_this_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        monkeypatch.setattr(storage, "sync_file", lambda file: (sync_file(file), steps.append("file")))
        monkeypatch.setattr(
            storage,
            "sync_folder",
            lambda folder: steps.append(f"folder with {[file.name for file in folder.iterdir()]}"),
        )
        write_bytes(tmp_path / "data", b"x")
        assert steps == ["file", "folder with ['data']"]

    def test_if_absent_on_this_machine_means_write(self, tmp_path: Path) -> None:
        put_if_absent(tmp_path / "file", b"one")
        put_if_absent(tmp_path / "file", b"two")  # whoever creates a workspace looks first
        assert (tmp_path / "file").read_bytes() == b"two"

    def test_many_are_read_in_order(self, tmp_path: Path) -> None:
        paths = [tmp_path / name for name in "cab"]
        for path in paths:
            path.write_bytes(path.name.encode())
        assert read_files(paths) == [b"c", b"a", b"b"]
        assert read_files([]) == []
        with pytest.raises(FileNotFoundError):
            read_files([*paths, tmp_path / "none"])

    def test_a_folder_keeps_no_versions(self, tmp_path: Path) -> None:
        assert delete_old_versions(tmp_path) == 0


class TestRemote:
    """On fsspec's file system in memory; test_remote_workspace.py has S3."""

    def test_content_comes_back(self, memory: Path) -> None:
        write_bytes(memory / "x" / "file", b"one", 0o600)
        with replace_file(memory / "x" / "other") as sink:
            sink.write(b"t")
            sink.write(b"wo")
        assert read_files([memory / "x" / "other", memory / "x" / "file"]) == [b"two", b"one"]
        assert (memory / "x" / "file").read_text() == "one"

    def test_a_failed_block_uploads_nothing(self, memory: Path) -> None:
        with pytest.raises(ValueError, match="stop"), replace_file(memory / "file") as sink:  # noqa: PT012
            sink.write(b"new")
            raise ValueError("stop")
        assert not (memory / "file").exists()

    def test_the_first_writer_wins(self, memory: Path) -> None:
        put_if_absent(memory / "file", b"one")
        put_if_absent(memory / "file", b"two")
        assert (memory / "file").read_bytes() == b"one"

    def test_listings(self, memory: Path) -> None:
        for name in ("b.txt", "deep/a.txt", "deep/deeper/c.txt", "deep/d.json"):
            write_bytes(memory / name, b"x")

        def names(paths: Any) -> list[str]:
            return sorted(to_url(path).partition("/a/")[2] for path in paths)

        assert names(memory.iterdir()) == ["b.txt", "deep"]
        assert names(memory.glob("*.txt")) == ["b.txt"]
        assert names(memory.glob("deep/*.txt")) == ["deep/a.txt"]
        assert names(memory.rglob("*.txt")) == ["b.txt", "deep/a.txt", "deep/deeper/c.txt"]
        assert names((memory / "none").glob("*")) == names((memory / "none").rglob("*")) == []

    def test_deleting(self, memory: Path) -> None:
        write_bytes(memory / "file", b"x")
        (memory / "file").unlink()
        (memory / "file").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError):
            (memory / "file").unlink()

    def test_there_are_no_folders_to_make(self, memory: Path) -> None:
        (memory / "folder").mkdir(parents=True)
        assert not (memory / "folder").exists()

    def test_a_store_without_versions(self, memory: Path) -> None:
        assert delete_old_versions(memory) == 0

    def test_versions_that_may_not_be_deleted(self, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Any) -> int:
            raise PermissionError

        monkeypatch.setattr(type(memory), "delete_old_versions", refuse)
        with pytest.raises(WorkspaceError, match="s3:DeleteObjectVersion"):
            delete_old_versions(memory)


class TestState:
    def test_a_folder_that_only_we_can_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        folder = make_state_folder("workspaces/ab")
        assert folder == tmp_path / "lexveil" / "workspaces" / "ab"
        assert mode(folder) == 0o700
        assert make_state_folder("workspaces/ab") == folder

    def test_below_the_home_folder_by_default(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert make_state_folder("x") == tmp_path / ".local" / "state" / "lexveil" / "x"


class TestJson:
    @given(st.dictionaries(st.text(max_size=5), st.integers() | st.lists(st.text(max_size=3)), max_size=4))
    def test_the_same_value_gives_the_same_bytes(self, value: dict[str, Any]) -> None:
        turned = dict(reversed(list(value.items())))
        assert to_json(value) == to_json(turned)
        assert json.loads(to_json(value)) == value
        assert to_json(value).endswith(b"\n")

    def test_an_outage_is_not_a_missing_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        error = type("EndpointConnectionError", (OSError,), {"__module__": "botocore.exceptions"})

        def fail(*_: Any, **__: Any) -> str:
            raise error

        monkeypatch.setattr(Path, "read_text", fail)
        with pytest.raises(error):
            read_json(tmp_path / "value.json")


def test_syncing_writes_what_is_buffered(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=io.DEFAULT_BUFFER_SIZE) as file:
        file.write(b"x")
        sync_file(file)
        assert (tmp_path / "file").read_bytes() == b"x"
