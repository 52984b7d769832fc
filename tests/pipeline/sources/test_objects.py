"""Sources on an object store, moto's: what is listed, what is fetched, and what is no reason to stop."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.request import make_request, prepare_workspace, read_request, submit_request
from lexveil.pipeline.settings import IngestSettings, Settings
from lexveil.pipeline.sources import objects
from lexveil.pipeline.sources.documents import Rejected, SourceItem, check_fields, read_items, scan_sources
from lexveil.pipeline.sources.plan import make_plan
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace.documents import read_quarantine
from lexveil.pipeline.workspace.storage import locate
from lexveil.pipeline.workspace.workspace import Workspace

INGEST = IngestSettings()


class Bucket:
    """A bucket of its own, and how many requests for objects were sent to the server."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def put(self, key: str, content: str | bytes = "A text.") -> str:
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"s3://{self.name}/{key}"

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def at(self, prefix: str = "") -> Path:
        return locate(f"s3://{self.name}/{prefix}")


@pytest.fixture
def bucket(aws: str, request: pytest.FixtureRequest) -> Bucket:
    pytest.importorskip("s3fs")
    from boto3.session import Session

    return Bucket(Session().client("s3"), f"inbox-{abs(hash(request.node.nodeid))}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is fetched from now on."""
    from s3fs import S3FileSystem

    calls: list[str] = []
    before = S3FileSystem._call_s3  # pyright: ignore[reportPrivateUsage]

    async def told(self: Any, method: str, *args: Any, **options: Any) -> Any:
        calls.append(method)
        return await before(self, method, *args, **options)

    monkeypatch.setattr(S3FileSystem, "_call_s3", told)
    return calls


def names(items: list[SourceItem]) -> list[str]:
    return [item.path.partition("://")[2].partition("/")[2] for item in items]


def read(items: list[SourceItem], settings: IngestSettings = INGEST) -> tuple[list[str], list[str]]:
    outcomes = list(read_items(items, settings))
    texts = [outcome.text for outcome in outcomes if isinstance(outcome, SourceDocument)]
    return texts, [str(outcome.reason) for outcome in outcomes if isinstance(outcome, Rejected)]


def records(*texts: str) -> str:
    return "".join(json.dumps({"text": text, "id": text[:9]}) + "\n" for text in texts)


class TestListing:
    def test_in_a_stable_order_without_hidden_ones_and_workspaces(self, bucket: Bucket) -> None:
        ours = ("in/w/workspace.json", "in/w/protected/raw", "in/w/masked/a.txt")
        for key in (
            "in/b.txt",
            "in/a/z.txt",
            "in/a/y.md",
            "in/.hidden.txt",
            "in/.git/x.txt",
            "in/folder/",
            *ours,
        ):
            bucket.put(key)
        bucket.put("elsewhere.txt")
        assert names(scan_sources([bucket.at("in")], INGEST)) == ["in/b.txt", "in/a/y.md", "in/a/z.txt"]
        assert names(scan_sources([bucket.at("in/"), bucket.at("in/b.txt")], INGEST)) == [
            "in/b.txt", "in/a/y.md", "in/a/z.txt",
        ]  # fmt: skip

    def test_one_object_and_a_whole_bucket(self, bucket: Bucket) -> None:
        url = bucket.put("in/a.txt")
        assert scan_sources([locate(url)], INGEST)[0].path == url
        assert names(scan_sources([bucket.at()], INGEST)) == ["in/a.txt"]

    def test_an_inbox_that_was_emptied(self, bucket: Bucket) -> None:
        assert scan_sources([bucket.at("in")], INGEST) == []

    def test_a_missing_bucket_is_one_line(self, aws: str) -> None:
        for url in ("s3://no-such-bucket", "s3://no-such-bucket/in"):
            with pytest.raises(SourceError, match="there is no such bucket"):
                scan_sources([locate(url)], INGEST)

    def test_a_store_out_of_reach_is_one_line(self, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
        prefix = locate("s3://out-of-reach/in")
        monkeypatch.setattr(type(prefix), "fs", unreachable(prefix))
        with pytest.raises(SourceError, match="cannot be reached"):
            scan_sources([prefix], INGEST)

    def test_sidecars_say_what_is_known_of_their_folder(self, bucket: Bucket) -> None:
        bucket.put("in/a.txt")
        bucket.put("in/metadata.jsonl", json.dumps({"file_name": "a.txt", "label": "civil"}) + "\n")
        (item,) = scan_sources([bucket.at("in")], INGEST)
        (document,) = read_items([item], INGEST)
        assert isinstance(document, SourceDocument)
        assert document.label == "civil"


class TestFetching:
    def test_documents_of_every_size_and_format(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("in/a.txt", "Small.")
        bucket.put("in/b.html", "<p>Page.</p>")
        bucket.put("in/c.txt.gz", gzip.compress(b"Packed."))
        bucket.put("in/d.txt", "Large. " * 1000)
        bucket.put("in/e.xyz", "Unknown.")
        monkeypatch.setattr("lexveil.pipeline.sources.documents._FETCHED_BYTES", 4096)
        texts, reasons = read(scan_sources([bucket.at("in")], INGEST))
        assert [text.split()[0] for text in texts] == ["Small.", "Page.", "Packed.", "Large."]
        assert reasons == ["unsupported"]

    def test_too_large_a_one_is_not_fetched(self, bucket: Bucket, asked: list[str]) -> None:
        bucket.put("in/a.txt", "Too long.")
        texts, reasons = read(scan_sources([bucket.at("in")], INGEST), IngestSettings(max_file_bytes=4))
        assert (texts, reasons) == ([], ["over_size"])
        assert "get_object" not in asked

    def test_records_are_fetched_once_for_all_their_slices(self, bucket: Bucket, asked: list[str]) -> None:
        bucket.put("in/r.jsonl", records(*(f"Text {number}." for number in range(20))))
        few = IngestSettings(shard_documents=3)
        items = scan_sources([bucket.at("in")], few)
        assert len(items) == 7
        check_fields(items, few, need_labels=False)
        texts, _ = read(items, few)
        assert texts == [f"Text {number}." for number in range(20)]
        assert asked.count("get_object") == 1

    def test_unchanged_objects_are_not_fetched_again(self, bucket: Bucket, asked: list[str]) -> None:
        bucket.put("in/a.txt")
        bucket.put("in/r.jsonl", records("One.", "Two."))
        known: dict[str, list[SourceItem]] = {}
        for item in scan_sources([bucket.at("in")], INGEST):
            known.setdefault(item.path, []).append(item)
        asked.clear()
        again = scan_sources([bucket.at("in")], INGEST, known)
        assert "get_object" not in asked
        assert [item.identity for item in again] == [items[0].identity for items in known.values()]
        bucket.put("in/a.txt", "B text.")
        changed = scan_sources([bucket.at("in")], INGEST, known)
        assert [item.identity == other.identity for item, other in zip(again, changed, strict=True)] == [
            False, True,
        ]  # fmt: skip

    def test_what_has_vanished_or_is_forbidden_goes_to_the_quarantine(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key in ("in/a.txt", "in/b.txt", "in/c.txt"):
            bucket.put(key, key)
        bucket.put("in/r.jsonl", records("One."))
        items = scan_sources([bucket.at("in")], INGEST)
        bucket.remove("in/b.txt")
        bucket.remove("in/r.jsonl")
        objects.discard_copy()
        assert read(items) == (["in/a.txt", "in/c.txt"], ["inaccessible", "inaccessible"])
        monkeypatch.setattr("lexveil.pipeline.sources.documents._FETCHED_BYTES", 0)
        assert read(items) == (["in/a.txt", "in/c.txt"], ["inaccessible", "inaccessible"])

    def test_a_forbidden_object(self, bucket: Bucket, aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
        import httpx
        from boto3.session import Session
        from s3fs import S3FileSystem

        for key in ("in/a.txt", "in/b.txt"):
            bucket.put(key, key)
        iam = Session().client("iam")
        iam.create_user(UserName=bucket.name)
        arn = f"arn:aws:s3:::{bucket.name}"
        allowed = [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/in/a.txt"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_user_policy(UserName=bucket.name, PolicyName="some", PolicyDocument=policy)
        key = iam.create_access_key(UserName=bucket.name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        httpx.post(f"{aws}/moto-api/reset-auth", content=b"0")  # from now on moto looks at them
        S3FileSystem.clear_instance_cache()
        try:
            assert read(scan_sources([bucket.at("in")], INGEST)) == (["in/a.txt"], ["inaccessible"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
            S3FileSystem.clear_instance_cache()
            with pytest.raises(SourceError, match="refuses these credentials"):
                scan_sources([bucket.at("in")], INGEST)
        finally:
            httpx.post(f"{aws}/moto-api/reset-auth", content=b"inf")
            S3FileSystem.clear_instance_cache()

    def test_a_copy_has_no_name(
        self, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        bucket.put("in/smith-v-jones.jsonl", records("One.", "Two."))
        items = scan_sources([bucket.at("in")], INGEST)
        assert read(items)[0] == ["One.", "Two."]
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or path.is_symlink()
            assert "smith" not in str(path)
            assert path.is_symlink() or path.stat().st_mode & 0o077 == 0
        objects.discard_copy()
        assert list(tmp_path.iterdir()) == []


class TestIngest:
    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Workspace:
        return Workspace.create_or_open(tmp_path / "w")

    def test_a_night_later(self, bucket: Bucket, workspace: Workspace, asked: list[str]) -> None:
        bucket.put("in/a.txt", "One.")
        bucket.put("in/broken.pdf", "no pdf")
        assert ingest(workspace.with_settings(Settings()), [bucket.at("in")]).counts()["documents"] == 1
        (row,) = read_quarantine(workspace.with_settings(Settings()))
        assert (row.reason, row.where) == ("wrong_suffix", f"s3://{bucket.name}/in/broken.pdf")
        bucket.put("in/b.txt", "Two.")
        asked.clear()
        assert ingest(workspace.with_settings(Settings()), [bucket.at("in")]).done_now == 1
        assert asked.count("get_object") == 1
        assert workspace.with_settings(Settings()).catalogue.read().num_rows == 2

    def test_the_request_names_it_by_its_url(self, bucket: Bucket, tmp_path: Path) -> None:
        bucket.put("in/r.jsonl", records("One.", "Two."))
        workspace = prepare_workspace(tmp_path / "w", Settings(), [bucket.at("in")], need_labels=False)
        asked = make_request(workspace.with_settings(Settings()), [bucket.at("in")])
        submit_request(workspace, asked)
        assert read_request(workspace, asked.run_id).sources == (f"s3://{bucket.name}/in",)

    def test_what_left_the_bucket_can_be_erased(self, bucket: Bucket, workspace: Workspace) -> None:
        settings = Settings(ingest=IngestSettings(removed="erase", removed_share=1.0))
        for number in range(3):
            bucket.put(f"in/{number}.txt", f"Text {number}.")
        make_plan(workspace.with_settings(settings), [bucket.at("in")])
        bucket.remove("in/1.txt")
        left = [
            item
            for items in make_plan(workspace.with_settings(settings), [bucket.at("in")])
            for item in items.values()
            if item is not None
        ]
        assert names(left) == ["in/0.txt", "in/2.txt"]


def unreachable(path: Any) -> Any:
    return type(path.fs)(
        endpoint_url="http://127.0.0.1:9", use_listings_cache=False, skip_instance_cache=True
    )
