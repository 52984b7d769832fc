"""The workspace: laid out once, opened only when it is ours; each shard is finished exactly once."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.pipeline.errors import WorkspaceError, WorkspaceKeyError
from lexveil.pipeline.records import Manifest, Shard, ShardResult, Work, run_one_by_one
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.keys import load_master_key
from lexveil.pipeline.workspace.lock import lock, remove_partial_files
from lexveil.pipeline.workspace.shards import read_manifest, run_stage, write_manifest
from lexveil.pipeline.workspace.storage import read_json, write_bytes, write_json
from lexveil.pipeline.workspace.workspace import Workspace, translate_storage_errors
from tests.deadlines import HANGS_AFTER


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestLayout:
    def test_made_once_and_opened_again(self, tmp_path: Path) -> None:
        made = Workspace.create_or_open(tmp_path / "a" / "b")
        before = (made.root / "workspace.json").read_bytes()
        assert Workspace.create_or_open(made.root) == Workspace.open(made.root) == made
        assert (made.root / "workspace.json").read_bytes() == before
        assert mode(made.protected) == 0o700

    def test_a_workspace_keeps_the_encoding_it_was_made_with(self, tmp_path: Path) -> None:
        def tell(workspace: Workspace) -> tuple[str, str]:
            train = workspace.settings.train
            return train.chosen_representation, train.chosen_precision

        made = Workspace.create_or_open(tmp_path / "new")
        assert tell(made) == ("legal-1", "int8")
        content = read_json(made.root / "workspace.json")
        assert content is not None
        del content["representation"], content["precision"]  # as earlier versions made workspaces
        earlier = tmp_path / "earlier"
        (earlier / "protected").mkdir(parents=True)
        write_json(earlier / "workspace.json", content)
        old = Workspace.create_or_open(earlier)
        assert tell(old) == ("embedding", "bfloat16")
        other = old.with_settings(Settings.model_validate({"train": {"epsilon": 3}}))
        assert tell(other) == ("embedding", "bfloat16")
        named = Settings.model_validate({"train": {"representation": "legal-1", "precision": "float32"}})
        assert tell(Workspace.open(earlier, named)) == ("legal-1", "float32")
        own = Settings.model_validate({"train": {"encoder": str(tmp_path)}})
        assert tell(Workspace.open(made.root, own)) == ("embedding", "bfloat16")

    @pytest.mark.parametrize(
        ("language", "chosen"),
        [
            (None, "legal-1"),
            ("en", "legal-1"),
            ("zh", "legal-1"),
            ("de", "multilingual-1"),
            ("pl", "multilingual-1"),
        ],
    )
    def test_a_new_workspace_represents_documents_by_what_knows_their_language(
        self, tmp_path: Path, language: str | None, chosen: str
    ) -> None:
        settings = Settings.model_validate({"mask": {"language": language}})
        made = Workspace.create_or_open(tmp_path, settings)
        assert made.settings.train.chosen_representation == chosen
        assert Workspace.open(tmp_path).settings.train.chosen_representation == chosen  # it is kept
        named = settings.model_copy(
            update={"train": settings.train.model_copy(update={"representation": "embedding"})}
        )
        assert Workspace.open(tmp_path, named).settings.train.chosen_representation == "embedding"

    def test_an_empty_folder_will_do(self, tmp_path: Path) -> None:
        assert Workspace.create_or_open(tmp_path).protected.is_dir()

    def test_a_layout_that_was_killed_is_finished(self, tmp_path: Path) -> None:
        (tmp_path / "protected").mkdir(mode=0o700)
        (tmp_path / "workspace.123.partial").write_text("{")
        assert Workspace.create_or_open(tmp_path) == Workspace.open(tmp_path)

    @pytest.mark.parametrize("name", ["notes.txt", "protected/notes.txt", "workspace.json/notes.txt"])
    def test_another_folder_is_left_alone(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(WorkspaceError):
            Workspace.create_or_open(tmp_path)
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_file_is_no_workspace(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for root in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(WorkspaceError):
                Workspace.create_or_open(root)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(WorkspaceError, match="lexveil ingest"):
            Workspace.open(tmp_path)

    @pytest.mark.parametrize("version", [0, 2, None, "1"])
    def test_another_schema_version_is_refused(self, tmp_path: Path, version: Any) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        write_json(workspace.root / "workspace.json", {"schema": version})
        for attempt in (Workspace.open, Workspace.create_or_open):
            with pytest.raises(WorkspaceError, match="version"):
                attempt(tmp_path)


class TestOpened:
    """Keys, catalogue, log and ledger are opened when they are first asked for, and once."""

    PARTS = ("keys", "catalogue", "log", "ledger")

    @pytest.fixture
    def opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is opened from now on, by name."""
        calls: list[str] = []
        for name, part in (
            ("open_key_store", "keys"),
            ("Catalogue", "catalogue"),
            ("AuditLog", "log"),
            ("Ledger", "ledger"),
        ):
            target = f"lexveil.pipeline.workspace.workspace.{name}"
            original = getattr(sys.modules["lexveil.pipeline.workspace.workspace"], name)

            def noted(*args: Any, part: str = part, original: Any = original, **more: Any) -> Any:
                calls.append(part)
                return original(*args, **more)

            monkeypatch.setattr(target, noted)
        return calls

    def test_opening_opens_nothing_else(self, tmp_path: Path, opened: list[str]) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        Workspace.open(tmp_path).with_settings(Settings(workers=2))
        assert opened == []
        assert list(workspace.protected.iterdir()) == []

    @pytest.mark.parametrize("part", PARTS)
    def test_each_is_opened_once(self, tmp_path: Path, opened: list[str], part: str) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        assert getattr(workspace, part) is getattr(workspace, part)
        assert opened == [part]

    def test_other_settings_open_their_own(self, tmp_path: Path, opened: list[str]) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        other = workspace.with_settings(Settings(workers=2))
        assert workspace.keys is not other.keys
        assert opened == ["keys", "keys"]
        assert (workspace.settings.workers, other.settings.workers) == (None, 2)

    def test_a_workspace_with_other_settings_is_the_same_workspace(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path / "a")
        other = workspace.with_settings(Settings(workers=2))
        assert (other, hash(other), other.id) == (workspace, hash(workspace), workspace.id)
        assert other != Workspace.create_or_open(tmp_path / "b")

    def test_pickled_it_takes_paths_and_settings_and_nothing_that_is_open(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path, Settings(workers=2))
        before = pickle.dumps(workspace)
        keys = workspace.keys.ensure_keys(["document"])
        _ = workspace.catalogue, workspace.log, workspace.ledger
        assert pickle.dumps(workspace) == before
        assert not [key for key in keys.values() if key in before]
        there = pickle.loads(before)
        assert (there, there.settings) == (workspace, workspace.settings)
        assert not set(self.PARTS) & set(vars(there))
        assert there.keys.existing_keys(["document"]) == keys

    def test_a_worker_opens_its_own(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        keys = workspace.keys.ensure_keys(["document"])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(keys_of, (workspace, "document")) == keys

    def test_a_key_that_was_refused_is_asked_for_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "no key")
        with pytest.raises(WorkspaceKeyError):
            _ = workspace.keys
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        assert workspace.keys.ensure_keys(["document"])

    def test_a_closed_ledger_opens_again(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        workspace.ledger.close()
        assert workspace.ledger.verify().ok

    def test_reprs_show_no_settings(self, tmp_path: Path) -> None:
        settings = Settings(master_key_file=tmp_path / "canary.key")
        assert "canary" not in repr(Workspace.create_or_open(tmp_path / "w", settings))


class TestLocations:
    def test_a_url_of_this_machine(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(f"file://{tmp_path}/w")
        assert workspace.root == tmp_path / "w"
        assert Workspace.exists(workspace.url)

    def test_whether_there_is_one(self, tmp_path: Path) -> None:
        assert not Workspace.exists(tmp_path / "w")
        assert not Workspace.exists(tmp_path)
        Workspace.create_or_open(tmp_path / "w")
        assert Workspace.exists(tmp_path / "w")
        assert not (tmp_path / "workspace.json").exists()

    def test_a_kind_of_storage_that_is_unknown(self) -> None:
        for attempt in (Workspace.open, Workspace.create_or_open, Workspace.exists):
            with pytest.raises(WorkspaceError, match="not a known kind of storage"):
                attempt("nowhere://bucket/w")

    def test_each_has_its_own_id(self, tmp_path: Path) -> None:
        ids = {Workspace.create_or_open(tmp_path / str(number)).id for number in range(5)}
        assert len(ids) == 5
        assert all(re.fullmatch("[0-9a-f]{16}", name) for name in ids)

    def test_local_errors_pass_untranslated(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), translate_storage_errors(tmp_path):
            raise ZeroDivisionError


def keys_of(workspace: Workspace, doc_id: str) -> dict[str, bytes]:
    return dict(workspace.keys.existing_keys([doc_id]))


def hold(root: Path, held: Any, leave: Any) -> None:
    with lock(Workspace.open(root)):
        held.set()
        leave.wait(HANGS_AFTER)


class TestLock:
    def test_one_at_a_time(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        with lock(workspace), pytest.raises(WorkspaceError, match="another run"), lock(workspace):
            pass
        with lock(workspace):
            pass

    def test_freed_when_its_holder_is_killed(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        context = multiprocessing.get_context("fork")
        held, leave = context.Event(), context.Event()
        holder = context.Process(target=hold, args=(tmp_path, held, leave))
        holder.start()
        assert held.wait(HANGS_AFTER)
        with pytest.raises(WorkspaceError), lock(workspace):
            pass
        holder.kill()
        holder.join()
        with lock(workspace):
            pass


class TestMasterKey:
    def test_made_on_first_use_for_its_owner_alone(self, tmp_path: Path) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        first = load_master_key(workspace, Settings(), create=True)
        assert mode(workspace.protected / "master.key") == 0o600
        assert load_master_key(workspace, Settings()).key_id == first.key_id

    def test_the_environment_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        _ = workspace.with_settings(Settings(master_key_file=tmp_path / "unused.key")).keys
        assert not (workspace.protected / "master.key").exists()
        assert not (tmp_path / "unused.key").exists()

    @pytest.mark.parametrize("digits", ["ab" * 31, "not a key", "zz" * 32])
    def test_no_key_in_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: str
    ) -> None:
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", digits)
        with pytest.raises(WorkspaceKeyError) as caught:
            load_master_key(Workspace.create_or_open(tmp_path), Settings())
        assert digits not in str(caught.value)

    def test_another_key_than_the_workspaces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        workspace = Workspace.create_or_open(tmp_path)
        _ = workspace.with_settings(Settings()).keys
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        with pytest.raises(WorkspaceKeyError, match="is not the key of this workspace"):
            _ = workspace.with_settings(Settings()).keys

    def test_a_key_file_open_to_others(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("ab" * 32)
        path.chmod(0o644)
        with pytest.raises(WorkspaceKeyError, match="chmod 600"):
            load_master_key(Workspace.create_or_open(tmp_path / "w"), Settings(master_key_file=path))


class Worker:
    """Writes parts and remembers which."""

    def __init__(self, folder: Path, die_after: int = 1 << 30) -> None:
        self.folder, self.die_after = folder, die_after
        self.done: list[int] = []

    def __call__(self, shard: Shard) -> ShardResult:
        if len(self.done) >= self.die_after:
            raise KeyboardInterrupt
        self.done.append(shard.index)
        table = pa.table({"doc_id": [f"{shard.key}"]})
        return tables.write_part(self.folder, shard, table, {"documents": 1})


def shards(*keys: str) -> list[Shard]:
    return [Shard(index, key) for index, key in enumerate(keys)]


def backwards(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
    del stage
    return map(work, reversed(shards))


def finish(folder: Path, todo: Sequence[Shard], each: Any = run_one_by_one) -> tuple[Manifest, list[int]]:
    worker = Worker(folder)
    manifest = run_stage(folder, "stage", todo, worker, each)
    return manifest, worker.done


class TestRunStage:
    def test_nothing_is_done_twice(self, tmp_path: Path) -> None:
        first, done = finish(tmp_path, shards("a", "b"), backwards)
        assert (done, first.done_now, first.rows, first.counts()) == ([1, 0], 2, 2, {"documents": 2})
        again, done = finish(tmp_path, shards("a", "b"))
        assert (done, again.done_now) == ([], 0)
        assert again.shards == first.shards == read_manifest(tmp_path, "stage").shards

    def test_a_part_without_an_entry_is_adopted(self, tmp_path: Path) -> None:
        first, _ = finish(tmp_path, shards("a", "b"))
        (tmp_path / "_manifest.json").unlink()
        again, done = finish(tmp_path, shards("a", "b"))
        assert done == []
        assert again.shards == first.shards

    def test_an_entry_without_a_part_is_done_again(self, tmp_path: Path) -> None:
        finish(tmp_path, shards("a", "b"))
        tables.part_path(tmp_path, 0).unlink()
        assert finish(tmp_path, shards("a", "b"))[1] == [0]

    def test_another_key_is_done_again(self, tmp_path: Path) -> None:
        finish(tmp_path, shards("a", "b", "c"))
        manifest, done = finish(tmp_path, shards("a", "B", "c"))
        assert done == [1]
        assert [shard.key for shard in manifest.shards] == ["a", "B", "c"]
        assert tables.to_strings(tables.read_part(tables.part_path(tmp_path, 1)), "doc_id") == ["B"]

    @pytest.mark.parametrize("recorded", [True, False])
    def test_parts_no_longer_asked_for_are_removed(self, tmp_path: Path, recorded: bool) -> None:
        finish(tmp_path, shards("a", "b", "c"))
        if not recorded:
            (tmp_path / "_manifest.json").unlink()
        manifest, done = finish(tmp_path, shards("a"))
        assert (done, len(manifest.shards)) == ([], 1)
        assert [path.name for path in tmp_path.glob("*.parquet")] == ["part-00000.parquet"]

    def test_leftovers_of_killed_writers_are_removed(self, tmp_path: Path) -> None:
        (tmp_path / "part-00000.77.partial").write_bytes(b"half")
        finish(tmp_path, shards("a"))
        assert not list(tmp_path.glob("*.partial"))

    def test_leftovers_of_workers_killed_in_this_stage_are_removed(self, tmp_path: Path) -> None:
        def be_killed_at_first(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            del stage
            for folder in (tmp_path / "parts", tmp_path / "vault"):
                folder.mkdir(exist_ok=True)
                (folder / f"part-{shards[0].index:05d}.77.partial").write_bytes(b"half")
            return map(work, shards)

        write = Worker(tmp_path / "parts")
        run_stage(
            tmp_path / "parts", "mask", shards("a"), write, be_killed_at_first, beside=[tmp_path / "vault"]
        )
        assert not list(tmp_path.rglob("*.partial"))

    def test_a_part_is_written_without_a_listing_of_its_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A listing for each part makes a stage quadratic in its shards."""
        finish(tmp_path, shards("a", "b"))

        def refuse(path: object = ".") -> None:
            raise AssertionError("the folder was listed")

        for name in ("listdir", "scandir"):
            monkeypatch.setattr(os, name, refuse)
        Worker(tmp_path)(shards("a", "B")[1])

    def test_an_indented_manifest_of_an_earlier_version_is_read_and_becomes_one_line(
        self, tmp_path: Path
    ) -> None:
        first, _ = finish(tmp_path, shards("a", "b"))
        path = tmp_path / "_manifest.json"
        write_json(path, read_json(path))
        assert read_manifest(tmp_path, "stage") == Manifest("stage", first.shards)
        assert finish(tmp_path, shards("a", "b")) == (Manifest("stage", first.shards, 0), [])
        assert path.read_bytes().count(b"\n") == 1

    def test_a_broken_manifest_is_made_anew(self, tmp_path: Path) -> None:
        first, _ = finish(tmp_path, shards("a"))
        (tmp_path / "_manifest.json").write_text('{"shards": [{"ind')
        assert finish(tmp_path, shards("a")) == (Manifest("stage", first.shards, 0), [])

    def test_a_part_of_another_key_is_not_adopted(self, tmp_path: Path) -> None:
        finish(tmp_path, shards("a"))
        (tmp_path / "_manifest.json").unlink()
        assert finish(tmp_path, shards("b"))[1] == [0]

    @pytest.mark.parametrize(
        ("before", "after", "why"),
        [
            ({"settings": 1, "code": 1}, {"settings": 2, "code": 1}, "the settings changed"),
            ({"settings": 1, "code": 1}, {"settings": 2, "code": 2}, "the settings and the code changed"),
            (
                {"settings": 1, "detector": {"a": 1}},
                {"settings": 1, "detector": {"a": 2}},
                "the detector changed",
            ),
            ({"settings": 1}, {"settings": 1}, "their input changed"),
            (None, {"settings": 1}, "the settings changed"),
            ({"other": 1}, {"other": 2}, "other changed"),
        ],
    )
    def test_it_says_why_shards_are_redone(self, tmp_path: Path, before: Any, after: Any, why: str) -> None:
        for keys, facts in (("ab", before), ("xb", after)):
            manifest = run_stage(tmp_path, "stage", shards(*keys), Worker(tmp_path), run_one_by_one, facts)
        assert manifest.redone == {"stage": f"1 of 2 shards redone: {why}"}

    def test_an_earlier_version_kept_no_facts(self, tmp_path: Path) -> None:
        finish(tmp_path, shards("a"))
        manifest = read_json(tmp_path / "_manifest.json") or {}
        del manifest["facts"]
        write_json(tmp_path / "_manifest.json", manifest)
        again = run_stage(tmp_path, "stage", shards("b"), Worker(tmp_path), run_one_by_one, {"settings": 1})
        assert again.redone == {"stage": "1 of 1 shards redone: an earlier version of Lexveil made them"}

    def test_new_shards_are_not_redone(self, tmp_path: Path) -> None:
        finish(tmp_path, shards("a"))
        assert finish(tmp_path, shards("a", "b"))[0].redone == {}

    def test_a_manifest_that_would_be_the_same_is_not_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[Path] = []
        monkeypatch.setattr(
            "lexveil.pipeline.workspace.shards.write_bytes",
            lambda path, content: (written.append(path), path.write_bytes(content)),
        )
        for keys, facts, expected in ((("a", "b"), 1, 1), (("a", "b"), 1, 1), (("a",), 1, 2), (("a",), 2, 3)):
            run_stage(tmp_path, "stage", shards(*keys), Worker(tmp_path), run_one_by_one, {"settings": facts})
            assert len(written) == expected
        assert len(read_manifest(tmp_path, "stage").shards) == 1

    def test_facts_stay_when_shards_are_written_without_them(self, tmp_path: Path) -> None:
        facts = {"settings": 1}
        first = run_stage(tmp_path, "stage", shards("a"), Worker(tmp_path), run_one_by_one, facts)
        before = (tmp_path / "_manifest.json").read_bytes()
        write_manifest(tmp_path, "stage", first.shards)
        assert (tmp_path / "_manifest.json").read_bytes() == before

    def test_no_shards_at_all(self, tmp_path: Path) -> None:
        assert finish(tmp_path, [])[0].counts() == {}

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(n=st.integers(1, 6), deaths=st.lists(st.integers(0, 3), max_size=5), data=st.data())
    def test_killed_anywhere_every_shard_is_done_once(
        self, tmp_path_factory: pytest.TempPathFactory, n: int, deaths: list[int], data: st.DataObject
    ) -> None:
        folder = tmp_path_factory.mktemp("stage")
        todo = shards(*(f"key{index}" for index in range(n)))
        calls: list[int] = []
        for death in deaths:
            worker = Worker(folder, die_after=death)
            each = data.draw(st.sampled_from([run_one_by_one, backwards]))
            with suppress(KeyboardInterrupt):
                run_stage(folder, "stage", todo, worker, each)
            calls += worker.done
        manifest, done = finish(folder, todo)
        assert sorted(calls + done) == list(range(n))
        assert [shard.key for shard in manifest.shards] == [shard.key for shard in todo]


class TestJson:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        value=st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none(), max_size=4)
    )
    def test_round_trip(self, tmp_path: Path, value: dict[str, Any]) -> None:
        write_json(tmp_path / "deep" / "value.json", value)
        assert read_json(tmp_path / "deep" / "value.json") == value
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["value.json"]

    @pytest.mark.parametrize(
        "spoil", [lambda p: p.unlink(), lambda p: p.write_text("{"), lambda p: p.write_bytes(b"\xff")]
    )
    def test_absent_or_broken_is_none(self, tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
        path = tmp_path / "value.json"
        path.write_text(json.dumps({}))
        spoil(path)
        assert read_json(path) is None


def test_what_killed_processes_were_writing_is_swept(tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "work")
    half = [
        workspace.runs / "last.7.partial",
        workspace.models / ".linear.partial" / "w",
        workspace.protected / "plan.7.partial",
    ]
    kept = workspace.endpoint / "state" / ".salt.ab.partial"
    for path in (*half, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    (workspace.root / ".current.7.partial").symlink_to("nowhere")
    remove_partial_files(workspace)
    assert list(workspace.root.rglob("*.partial")) == [kept]
    assert not half[1].exists()


def test_a_full_disk_keeps_no_half_of_a_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_bytes(tmp_path / "large", b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """It was an internal error, after a part had been written."""
    path = tmp_path / os.fsdecode(b"kl\xe4ger")
    for begin in (Workspace.create_or_open, Workspace.open):
        with pytest.raises(WorkspaceError, match="UTF-8") as refused:
            begin(path)
        assert str(refused.value).isprintable()
    assert list(tmp_path.iterdir()) == []
