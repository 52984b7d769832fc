"""A workspace on an object store: the same tables as in a folder, the same resume, erasure and refusals.

The store is moto's real HTTP server, and the database a real PostgreSQL.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import pickle
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import (
    SettingsError,
    StorageError,
    WorkspaceError,
    WorkspaceKeyError,
)
from lexveil.pipeline.job import run_job
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.masking.decisions import (
    compute_decisions_digests,
    compute_text_digests,
    store_decisions,
)
from lexveil.pipeline.masking.vault import restore_document
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import find_model
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.reports.review_page import write_reviews
from lexveil.pipeline.request import find_reusable_result, make_request, read_request, submit_request
from lexveil.pipeline.serving.endpoint import prepare_folders
from lexveil.pipeline.serving.export import export_model
from lexveil.pipeline.serving.server.offers import ServingBundle
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.evaluate import evaluate
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.lock import lock
from lexveil.pipeline.workspace.storage import locate, put_if_absent, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace

MASTER = "5a" * 32
_numbers = itertools.count()
POLICY = Path(__file__).parents[3] / "deploy" / "s3" / "analysts.json"


class Shipping:
    """Carries out shards as a worker process would: what it is given has been pickled. Dies over one."""

    def __init__(self, die_at: int = 1 << 30) -> None:
        self.done: list[tuple[str, int]] = []
        self.die_at = die_at

    def __call__(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        for shard in shards:
            if len(self.done) == self.die_at:
                raise KeyboardInterrupt
            self.done.append((stage, shard.index))
            yield pickle.loads(pickle.dumps(work))(shard)


class Store:
    """A server of S3 at one address, which can be stopped and started; what it holds stays."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def client(self, service: str = "s3") -> Any:
        import boto3

        return boto3.client(service)

    def names(self, bucket: str) -> list[str]:
        return [entry["Key"] for entry in self.client().list_objects_v2(Bucket=bucket).get("Contents", ())]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[Store]:
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        running = Store()
        patch.setenv("AWS_ENDPOINT_URL", running.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("LEXVEIL_MASTER_KEY", MASTER)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        forget_clients()
        try:
            yield running
        finally:
            running.stop()
            forget_clients()


def forget_clients() -> None:
    """Have the next one read the environment anew."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def settings_for(
    postgres: str, bert_in: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Settings]:
    encoder = bert_in(tmp_path_factory.mktemp("bert"))

    def make(database: str | None = postgres) -> Settings:
        train = {"encoder": encoder, "steps": 3, "held_out": 0.0, "chunk_length": 32, "seed": 1}
        return Settings.model_validate(
            {
                "ingest": {"owner_field": "owner", "shard_documents": 4},
                "mask": {"detector": "rules"},
                "train": train,
                "encrypted": {"sample": 2},
                "database": {"url": database},
                "ledger": {"population": "remote"},
            }
        )

    return make


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from fixtures.generate import generate

    folder = tmp_path_factory.mktemp("sources")
    generate(folder, 12, 3, layout="jsonl")
    return [folder / "corpus"]


@dataclass(frozen=True)
class Ran:
    """A workspace in which the main job has run, and what was done."""

    workspace: Workspace
    settings: Settings
    result: dict[str, Any]
    done: list[tuple[str, int]] = field(default_factory=list)


def run(workspace: Workspace, settings: Settings, sources: list[Path]) -> Ran:
    asked = make_request(workspace.with_settings(settings), sources)
    submit_request(workspace, asked)
    each = Shipping()
    with lock(workspace.with_settings(settings)):
        result = run_job(workspace, read_request(workspace, asked.run_id), each)
    return Ran(workspace, settings, result, each.done)


@pytest.fixture(scope="module")
def local(
    store: Store, settings_for: Any, sources: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The same by the stages alone: the report's drawings cost more than they."""
    workspace, settings = Workspace.create_or_open(tmp_path_factory.mktemp("local") / "w"), settings_for(None)
    each = Shipping()
    ingest(workspace.with_settings(settings), sources, each)
    mask(workspace.with_settings(settings), each)
    name = train(workspace.with_settings(settings), each, each_has_detector=True).saved.name
    extract(workspace.with_settings(settings), name, each)
    evaluate(workspace.with_settings(settings), name)
    return Ran(workspace, settings, {"model": name}, each.done)


@pytest.fixture(scope="module")
def remote(store: Store, settings_for: Any, sources: list[Path]) -> Ran:
    """To read, not to change."""
    store.client().create_bucket(Bucket="court")
    return run(Workspace.create_or_open("s3://court/a/b"), settings_for(), sources)


@pytest.fixture
def bucket(store: Store) -> str:
    name = f"bucket-{next(_numbers)}"
    store.client().create_bucket(Bucket=name)
    return name


def rows(folder: Path, *columns: str) -> list[dict[str, Any]]:
    parts = sorted(folder.glob("part-*.parquet"), key=lambda path: path.name)
    return [row for path in parts for row in tables.read_part(path, list(columns)).to_pylist()]


class TestMainJob:
    def test_the_same_tables_as_in_a_folder(self, local: Ran, remote: Ran) -> None:
        masked = ("doc_id", "owner", "label", "split", "text", "verdict", "reasons")
        assert rows(remote.workspace.masked, *masked) == rows(local.workspace.masked, *masked)
        features = [
            rows(find_current_features(ran.workspace), "doc_id", "owner", "features", "model")
            for ran in (local, remote)
        ]
        assert features[0] == features[1]
        assert len(features[0]) == remote.result["masked"] == 12
        assert remote.done == local.done

    def test_it_prints_urls(self, remote: Ran) -> None:
        assert remote.result["features"].startswith("s3://court/a/b/features/")
        assert remote.result["report"].startswith("s3://court/a/b/runs/")
        assert b"<html" in locate(remote.result["report"]).read_bytes()

    def test_a_second_run_has_nothing_to_do(self, remote: Ran, sources: list[Path]) -> None:
        workspace = Workspace.create_or_open("s3://court/a/b/")
        assert workspace == remote.workspace
        asked = make_request(workspace.with_settings(remote.settings), sources)
        assert find_reusable_result(workspace, asked) is not None
        each = Shipping()
        ingest(workspace.with_settings(remote.settings), sources, each)
        mask(workspace.with_settings(remote.settings), each)
        trained = train(workspace.with_settings(remote.settings), each)
        extract(workspace.with_settings(remote.settings), None, each)
        assert each.done == []
        assert (trained.new, trained.saved.name) == (False, remote.result["model"])

    def test_one_at_a_time_whatever_the_machine(self, remote: Ran) -> None:
        with (
            lock(remote.workspace.with_settings(remote.settings)),
            pytest.raises(WorkspaceError, match="another run"),
            lock(Workspace.open("s3://court/a/b").with_settings(remote.settings)),
        ):
            pass

    def test_what_lies_in_the_bucket(self, store: Store, local: Ran, remote: Ran) -> None:
        def versionless(name: str, ran: Ran) -> str:
            return name.replace(find_current_features(ran.workspace).name, "version")

        found = {versionless(name.removeprefix("a/b/"), remote) for name in store.names("court")}
        root = local.workspace.root
        here = {versionless(path.relative_to(root).as_posix(), local) for path in root.rglob("*")}
        assert {name for name in found if not name.startswith("runs/")} <= here
        kept = {"protected/catalogue.parquet", "protected/keys.sqlite", "protected/ledger.sqlite"}
        assert kept <= here
        assert not kept & found
        assert not [name for name in found if "partial" in name or "pending" in name or "master" in name]

    def test_no_raw_text_in_the_bucket(self, remote: Ran) -> None:
        shards = remote.workspace.with_settings(remote.settings).catalogue.read().to_pylist()
        texts = [
            document.text
            for index in sorted({row["shard"] for row in shards})
            for document in read_raw(
                remote.workspace.with_settings(remote.settings), index, [row["doc_id"] for row in shards]
            )
        ]
        assert len(texts) == 12
        needles = [text[start : start + 40].encode() for text in texts for start in (0, len(text) // 2)]
        masked = b"".join(row["text"].encode() for row in rows(remote.workspace.masked, "text"))
        needles = [needle for needle in needles if needle not in masked]
        assert needles
        for path in remote.workspace.root.rglob("*"):
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(tables.read_part(path).to_pylist()).encode()
            assert not any(needle in content for needle in needles), path.name

    def test_the_model_is_loaded_from_the_bucket(self, local: Ran, remote: Ran) -> None:
        import torch

        models = [
            open_model(find_model(ran.workspace, "linear").folder, ran.settings).state_dict()
            for ran in (local, remote)
        ]
        assert models[0].keys() == models[1].keys()
        assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())

    def test_the_endpoint_serves_it_and_keeps_its_state_here(self, store: Store, remote: Ran) -> None:
        bundle, state = prepare_folders(remote.workspace)
        listed = export_model(remote.workspace.with_settings(remote.settings), None, ServingBundle(bundle))
        assert (bundle / listed.id / "extractor" / "model.safetensors").is_file()
        assert all(folder.is_relative_to(remote.workspace.local) for folder in (bundle, state))
        assert not [name for name in store.names("court") if "endpoint" in name]

    def test_a_part_that_is_here_alone(self, remote: Ran) -> None:
        folder = remote.workspace.local
        assert folder.stat().st_mode & 0o777 == 0o700
        assert remote.workspace.id in folder.parts
        assert os.fspath(folder)


class TestResume:
    def test_killed_between_parts(self, bucket: str, settings_for: Any, sources: list[Path]) -> None:
        workspace, settings = Workspace.create_or_open(f"s3://{bucket}"), settings_for()
        first = Shipping(die_at=2)
        with pytest.raises(KeyboardInterrupt):
            ingest(workspace.with_settings(settings), sources, first)
        second = Shipping(die_at=4)
        ingest(workspace.with_settings(settings), sources, second)
        with pytest.raises(KeyboardInterrupt):
            mask(workspace.with_settings(settings), second)
        third = Shipping()
        ingest(workspace.with_settings(settings), sources, third)
        mask(workspace.with_settings(settings), third)
        done = first.done + second.done + third.done
        assert sorted(done) == sorted(set(done))
        assert len(done) == 9
        assert len(rows(workspace.masked, "doc_id")) == 12

    def test_an_outage_is_one_line_and_loses_nothing(
        self, store: Store, bucket: str, settings_for: Any, sources: list[Path]
    ) -> None:
        workspace, settings = Workspace.create_or_open(f"s3://{bucket}/w"), settings_for()
        ingest(workspace.with_settings(settings), sources)
        done = Shipping()

        def failing(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            yield from done(stage, work, shards[:1])
            store.stop()
            yield from done(stage, work, shards[1:])

        try:
            with pytest.raises(StorageError, match=r"^the storage .* it cannot be reached$"):
                seal_errors("mask")(mask)(workspace.with_settings(settings), failing)
            with pytest.raises(WorkspaceError, match="it cannot be reached"):
                Workspace.create_or_open(workspace.url)
        finally:
            store.start()
        again = Shipping()
        mask(workspace.with_settings(settings), again)
        assert len(again.done) == 5
        assert len(rows(workspace.masked, "doc_id")) == 12


class TestErasure:
    def test_a_scan_of_the_bucket_proves_it(
        self, store: Store, bucket: str, settings_for: Any, sources: list[Path]
    ) -> None:
        s3 = store.client()
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        workspace, settings = Workspace.create_or_open(f"s3://{bucket}/w"), settings_for()
        ingest(workspace.with_settings(settings), sources)
        mask(workspace.with_settings(settings))
        (workspace.root.parent / "w2" / "other").write_bytes(b"1")
        (workspace.root.parent / "w2" / "other").write_bytes(b"2")
        doc_id, *others = tables.to_strings(workspace.with_settings(settings).catalogue.read(), "doc_id")
        pages = write_reviews(workspace.with_settings(settings), [doc_id])
        assert pages[0].is_file()
        assert doc_id in pages[0].read_text(encoding="utf-8")
        gone = erase(workspace.with_settings(settings), doc_id)
        assert (gone.doc_ids, gone.keys, gone.scan.left) == ((doc_id,), 1, 0)
        assert gone.rows >= 4
        assert gone.scan.files > 10
        assert not pages[0].exists()
        assert set(tables.to_strings(workspace.with_settings(settings).catalogue.read(), "doc_id")) == set(
            others
        )
        assert {row["doc_id"] for row in rows(workspace.masked, "doc_id")} == set(others)
        with pytest.raises(WorkspaceError, match="erased"):
            restore_document(workspace.with_settings(settings), doc_id)
        assert restore_document(workspace.with_settings(settings), others[0])
        kept = s3.list_object_versions(Bucket=bucket)["Versions"]
        assert [entry["Key"] for entry in kept if not entry["IsLatest"]] == ["w2/other"]


class TestReview:
    def test_pages_stay_here_and_decisions_go_to_the_bucket(
        self, store: Store, bucket: str, settings_for: Any, sources: list[Path], tmp_path: Path
    ) -> None:
        workspace, settings = Workspace.create_or_open(f"s3://{bucket}"), settings_for()
        ingest(workspace.with_settings(settings), sources)
        mask(workspace.with_settings(settings))
        row = workspace.with_settings(settings).catalogue.read().to_pylist()[0]
        (document,) = read_raw(workspace.with_settings(settings), row["shard"], [row["doc_id"]])
        (digest,) = compute_text_digests(workspace.with_settings(settings), [document.text])
        content = {
            "doc_id": row["doc_id"],
            "digest": digest,
            "decisions": [{"start": 0, "end": 4, "type": "PERSON", "verdict": "add"}],
        }
        file = tmp_path / f"decisions-{row['doc_id']}.json"
        file.write_text(json.dumps(content))
        assert store_decisions(workspace.with_settings(settings), file) == 1
        assert list(compute_decisions_digests(workspace)) == [row["doc_id"]]
        assert all(
            page.is_relative_to(workspace.local)
            for page in write_reviews(workspace.with_settings(settings), [])
        )
        assert [n for n in store.names(bucket) if "review" in n] == [f"protected/review/{file.name}"]
        again = Shipping()
        mask(workspace.with_settings(settings), again)
        assert again.done == [("mask", row["shard"])]


def test_a_url_of_a_folder_is_the_folder(tmp_path: Path) -> None:
    workspace = Workspace.create_or_open((tmp_path / "a b").as_uri())
    assert workspace == Workspace.open(tmp_path / "a b")
    assert (workspace.url, workspace.local, workspace.remote) == (
        str(tmp_path / "a b"),
        workspace.protected,
        False,
    )


class TestRefusals:
    @pytest.mark.parametrize("open_it", [Workspace.open, Workspace.create_or_open])
    def test_no_such_bucket(self, store: Store, open_it: Callable[[str], Workspace]) -> None:
        with pytest.raises(WorkspaceError, match=r"no such bucket|no workspace at") as refused:
            open_it("s3://nowhere/w")
        assert "\n" not in str(refused.value)
        assert store.client().list_buckets()["Buckets"] is not None
        assert "nowhere" not in [entry["Name"] for entry in store.client().list_buckets()["Buckets"]]

    def test_something_else_lies_there(self, store: Store, bucket: str) -> None:
        store.client().put_object(Bucket=bucket, Key="w/notes.txt", Body=b"mine")
        with pytest.raises(WorkspaceError, match="neither a workspace nor an empty"):
            Workspace.create_or_open(f"s3://{bucket}/w")
        assert store.names(bucket) == ["w/notes.txt"]

    def test_a_layout_that_lost_the_race_opens_what_is_there(self, bucket: str) -> None:
        first = Workspace.create_or_open(f"s3://{bucket}/w")
        put_if_absent(first.root / "workspace.json", b"{}")
        assert Workspace.create_or_open(first.url) == first

    @pytest.mark.parametrize("url", ["gopher://host/w", "s3://"])
    def test_no_url_of_a_store(self, url: str) -> None:
        with pytest.raises(WorkspaceError):
            Workspace.create_or_open(url)

    def test_no_credentials(self, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        forget_clients()
        try:
            with pytest.raises(WorkspaceError, match="no credentials are known"):
                Workspace.create_or_open("s3://court/other")
        finally:
            forget_clients()

    def test_no_database(self, bucket: str, settings_for: Any, sources: list[Path]) -> None:
        workspace = Workspace.create_or_open(f"s3://{bucket}")
        with pytest.raises(SettingsError, match="LEXVEIL_DATABASE__URL"):
            ingest(workspace.with_settings(settings_for(None)), sources)
        with (
            pytest.raises(SettingsError, match="needs a database"),
            lock(workspace.with_settings(settings_for(None))),
        ):
            pass

    def test_no_master_key(self, bucket: str, settings_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        workspace = Workspace.create_or_open(f"s3://{bucket}")
        monkeypatch.delenv("LEXVEIL_MASTER_KEY")
        with pytest.raises(WorkspaceKeyError, match="never stores its master key"):
            _ = workspace.with_settings(settings_for()).keys

    def test_an_outage_is_no_missing_file(self, store: Store, bucket: str) -> None:
        workspace = Workspace.create_or_open(f"s3://{bucket}")
        path = workspace.root / "value.json"
        assert read_json(path) is None
        write_json(path, {"a": 1})
        store.stop()
        try:
            for ask in (
                lambda: read_json(path),
                lambda: list(workspace.root.glob("part-*")),
                lambda: tables.read_result(tables.part_path(workspace.root, 0)),
                path.exists,
            ):
                with pytest.raises(Exception, match="Could not connect"):
                    ask()
        finally:
            store.start()
        assert read_json(path) == {"a": 1}


class TestAnalysts:
    def test_the_policy_gives_them_features_alone(
        self, store: Store, remote: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`deploy/s3/analysts.json`, enforced by moto, which knows no conditions: listing isn't tried."""
        import httpx

        iam = store.client("iam")
        iam.create_user(UserName="analyst")
        key = iam.create_access_key(UserName="analyst")["AccessKey"]
        policy = POLICY.read_text().replace("BUCKET", "court").replace("PREFIX", "a/b")
        iam.put_user_policy(UserName="analyst", PolicyName="features", PolicyDocument=policy)
        names = store.names("court")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        httpx.post(f"{store.url}/moto-api/reset-auth", content=b"0")
        forget_clients()
        try:
            for name in names:
                path = locate(f"s3://court/{name}")
                if name.startswith("a/b/features/"):
                    assert path.read_bytes()
                else:
                    with pytest.raises(PermissionError):
                        path.read_bytes()
            with pytest.raises(WorkspaceError, match="it refuses these credentials"):
                Workspace.open("s3://court/a/b")
        finally:
            httpx.post(f"{store.url}/moto-api/reset-auth", content=b"inf")
            forget_clients()
