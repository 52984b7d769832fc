"""One owner is one owner: in new workspaces, and in those that took the spellings for several."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.records import Manifest
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources import documents
from lexveil.pipeline.sources.owners import normalize_owner, read_owner_names
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace

WriteJsonl = Callable[..., Path]
NFC, NFD = "Jos\u00e9 M\u00fcller", unicodedata.normalize("NFD", "Jos\u00e9 M\u00fcller")
SETTINGS = Settings.model_validate({"ingest": {"owner_field": "owner"}})


@pytest.mark.parametrize(
    ("spellings", "name"),
    [
        ([7, 7.0, "7", "7.0", " 7.00 ", Decimal(7), Decimal("7.0")], "7"),
        ([NFC, NFD, f" {NFC}\t", "Jos\u00e9\u00a0\u2009M\u00fcller"], NFC),
        (["Jos\u00e9\u200b  M\u00fcl\u00adler\ufeff"], NFC),
        (["007"], "007"),
        (["7.5", 7.5], "7.5"),
        ([10**20, 1e3], None),
    ],
)  # fmt: skip
def test_spellings(spellings: list[Any], name: str | None) -> None:
    read = {read_owner_names({"owner": spelling}, "owner") for spelling in spellings}
    if name is not None:
        assert read == {(name,)}
        assert read_owner_names({"owner": spellings}, "owner") == (name,)
    assert all(read)


@pytest.mark.parametrize("missing", [math.nan, "nan", "NaN", None, "", " \u200b", Decimal("NaN"), math.inf])
def test_what_is_no_number_is_no_owner(missing: Any) -> None:
    assert read_owner_names({"owner": missing}, "owner") == ()
    assert read_owner_names({"owner": ["Ann", missing]}, "owner") == ()


@given(st.text())
def test_normalizing_is_idempotent(name: str) -> None:
    assert normalize_owner(normalize_owner(name)) == normalize_owner(name)


def owners(workspace: Workspace) -> list[str]:
    return sorted(tables.to_strings(workspace.catalogue.read(), "owner"))


def test_one_owner_in_a_table_and_in_records(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    rows = [{"text": f"Text {n}.", "owner": owner} for n, owner in enumerate([7, "7", "7.0", 8])]
    path = write_jsonl(rows)
    table = pa.table({"text": ["Text a.", "Text b."], "owner": [7.0, math.nan]})
    pq.write_table(table, tmp_path / "a.parquet")
    workspace = Workspace.create_or_open(tmp_path / "workspace").with_settings(SETTINGS)
    counts = ingest(workspace, [path, tmp_path / "a.parquet"]).counts()
    assert counts["quarantine:missing_owner"] == 1
    assert len(owners(workspace)) == 5
    assert len(set(owners(workspace))) == 2
    assert len(erase(workspace, owner="7.0").doc_ids) == 4


class TestWorkspaceOfAnEarlierVersion:
    """It took names as they came."""

    @pytest.fixture
    def ingest_as_before(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
        def run(path: Path) -> Workspace:
            workspace = Workspace.create_or_open(tmp_path / "workspace").with_settings(SETTINGS)
            with monkeypatch.context() as patched:
                patched.setattr(
                    documents, "read_owner_names", lambda record, name: (str(record[name]).strip(),)
                )
                patched.setattr(documents, "read_spelled_names", lambda record, name: ())
                patched.setattr("lexveil.pipeline.stages.ingest.code_digest", lambda name: "an earlier one")
                ingest(workspace, [path])
            return workspace

        return run

    def ingest_now(self, workspace: Workspace, path: Path) -> Manifest:
        workspace = Workspace.open(workspace.root, SETTINGS)
        return ingest(workspace, [path])

    @pytest.mark.parametrize("spelling", ["Ann Other", "7", NFC, 7.0, NFD, "Ann\u00a0Other"])
    def test_a_name_with_one_spelling_keeps_its_id(
        self, ingest_as_before: Callable[..., Workspace], write_jsonl: WriteJsonl, spelling: Any
    ) -> None:
        path = write_jsonl([{"text": f"Text {n}.", "owner": spelling} for n in range(3)])
        workspace = ingest_as_before(path)
        before = workspace.catalogue.read().sort_by("doc_id").to_pylist()
        manifest = self.ingest_now(workspace, path)
        assert manifest.done_now == 1
        assert workspace.catalogue.read().sort_by("doc_id").to_pylist() == before
        assert not set(manifest.redone) & {"spellings", "owners"}
        more = write_jsonl([{"text": "New.", "owner": normalize_owner(str(spelling))}], "b.jsonl")
        self.ingest_now(workspace, more)
        if spelling != "Ann\u00a0Other":  # nobody can know that a name was once spelled so
            assert len(set(owners(workspace))) == 1

    def test_spellings_that_were_several_owners_become_one_and_it_says_so(
        self, ingest_as_before: Callable[..., Workspace], write_jsonl: WriteJsonl
    ) -> None:
        path = write_jsonl(
            [{"text": f"Text {n}.", "owner": owner} for n, owner in enumerate(["7", 7.0, "8"])]
        )
        workspace = ingest_as_before(path)
        assert len(set(owners(workspace))) == 3
        manifest = self.ingest_now(workspace, path)
        assert len(set(owners(workspace))) == 2
        assert manifest.redone["spellings"].startswith("1 documents have an owner that an earlier version")
        assert manifest.counts()["documents"] == 3
        assert self.ingest_now(workspace, path).done_now == 0
