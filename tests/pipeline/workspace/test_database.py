"""A workspace whose keys, catalogue, log and lock lie in PostgreSQL."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from fixtures.postgres import cut_connections
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.logs import log
from lexveil.pipeline.request import EXECUTION_SETTINGS, make_request, read_request, submit_request
from lexveil.pipeline.settings import DatabaseSettings, Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.database import database_lock, open_tables, schema_name
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.lock import lock
from lexveil.pipeline.workspace.storage import locate
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.database import StoreUnavailableError
from tests.deadlines import HANGS_AFTER, wait_until

psycopg = pytest.importorskip("psycopg")
MANY = 100_000


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "w")


@pytest.fixture
def settings(postgres: str) -> Settings:
    return Settings(database=DatabaseSettings(url=postgres))


def rows_of(number: int, label: str | None = None) -> pa.Table:
    ids = [f"{at:032x}" for at in range(number)]
    columns = [ids, ids, [label] * number, [None] * number, ids, [at // 256 for at in range(number)]]
    return pa.table(columns, schema=tables.CATALOGUE)


def order(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def test_nothing_of_a_document_is_kept_in_files_but_what_is_sealed(
    workspace: Workspace, settings: Settings, write_jsonl: Any
) -> None:
    source = write_jsonl({"text": f"text {number}", "id": str(number)} for number in range(3))
    ingest(workspace.with_settings(settings), [source])
    rows = workspace.with_settings(settings).catalogue.read().to_pylist()
    assert len(rows) == 3
    texts = {
        document.text
        for document in read_raw(workspace.with_settings(settings), 0, [row["doc_id"] for row in rows])
    }
    assert texts == {"text 0", "text 1", "text 2"}
    assert not workspace.catalogue.exists()
    assert not list(workspace.protected.glob("*.sqlite*"))


class TestCatalogue:
    def test_an_empty_one_is_told_from_none(self, workspace: Workspace, settings: Settings) -> None:
        assert not workspace.with_settings(settings).catalogue.exists()
        assert workspace.with_settings(settings).catalogue.read().equals(tables.CATALOGUE.empty_table())
        workspace.with_settings(settings).catalogue.write(tables.CATALOGUE.empty_table())
        assert workspace.with_settings(settings).catalogue.exists()
        assert workspace.with_settings(settings).catalogue.read().num_rows == 0

    def test_many_rows_come_back_as_they_were(self, workspace: Workspace, settings: Settings) -> None:
        table = rows_of(MANY, "civil")
        workspace.with_settings(settings).catalogue.write(table)
        assert workspace.with_settings(settings).catalogue.read().equals(table)
        assert (
            workspace.with_settings(settings)
            .catalogue.read(2)
            .column("doc_id")
            .equals(table.column("doc_id").slice(512, 256))
        )
        workspace.with_settings(settings).catalogue.write(rows_of(3))
        assert workspace.with_settings(settings).catalogue.read().equals(rows_of(3))

    def test_a_writer_that_fails_leaves_the_old_one(self, workspace: Workspace, settings: Settings) -> None:
        workspace.with_settings(settings).catalogue.write(rows_of(3))
        broken = pa.table({**{name: rows_of(5).column(name) for name in tables.CATALOGUE.names},
                           "owner": [None] * 5})  # fmt: skip
        with pytest.raises(StoreUnavailableError):
            workspace.with_settings(settings).catalogue.write(broken)
        assert workspace.with_settings(settings).catalogue.read().equals(rows_of(3))

    def test_a_connection_that_is_cut_in_the_midst(
        self, workspace: Workspace, settings: Settings, postgres: str
    ) -> None:
        workspace.with_settings(settings).catalogue.write(rows_of(3))
        cut: list[int] = []

        def cut_once(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO catalogue ") and not cut:
                cut.append(cut_connections(postgres))

        event.listen(sa.Engine, "before_cursor_execute", cut_once)
        try:
            workspace.with_settings(settings).catalogue.write(rows_of(5))
        finally:
            event.remove(sa.Engine, "before_cursor_execute", cut_once)
        assert cut
        assert workspace.with_settings(settings).catalogue.read().equals(rows_of(5))


def append_some(root: Path, settings: Settings, number: int) -> None:
    workspace = Workspace.create_or_open(root)
    for at in range(number):
        workspace.with_settings(settings).log.append("mask", "done", {"rows": at})


def append_and_end(root: Path, settings: Settings, number: int) -> None:
    """A forked process's whole life. It ends at once: where a test before has used Prefect in this process,
    Python's own way to end threads fails in a fork, whatever was done."""
    code = 1
    try:
        append_some(root, settings, number)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


class TestLog:
    def test_writers_at_once_make_one_chain(self, workspace: Workspace, settings: Settings) -> None:
        append_some(workspace.root, settings, 1)
        context = multiprocessing.get_context("fork")
        writers = [
            context.Process(target=append_and_end, args=(workspace.root, settings, 12)) for _ in range(3)
        ]
        for writer in writers:
            writer.start()
        append_some(workspace.root, settings, 3)  # beside its children: no connection has crossed the fork
        for writer in writers:
            writer.join()
        assert [writer.exitcode for writer in writers] == [0, 0, 0]
        found = workspace.with_settings(settings).log.verify()
        assert (found.intact, found.entries) == (True, 40)
        assert not workspace.log_file.exists()

    def test_it_is_appended_to_and_no_more(
        self, workspace: Workspace, settings: Settings, postgres: str
    ) -> None:
        append_some(workspace.root, settings, 2)
        for change in ("UPDATE {} SET line = ''", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(psycopg.Error, match="append-only"):
                order(postgres, change.format(f"{schema_name(workspace.id)}.log"))
        assert workspace.with_settings(settings).log.verify().intact

    def test_a_change_past_that_is_found(
        self, workspace: Workspace, settings: Settings, postgres: str
    ) -> None:
        append_some(workspace.root, settings, 4)
        log = f"{schema_name(workspace.id)}.log"
        order(
            postgres,
            f"ALTER TABLE {log} DISABLE TRIGGER ALL; "
            f"UPDATE {log} SET line = replace(line, '\"rows\":1', '\"rows\":7')",
        )
        assert workspace.with_settings(settings).log.verify().broken_at == 2


def hold(url: str, held: Any, leave: Any) -> None:
    with database_lock(url, "a"):
        held.set()
        leave.wait(HANGS_AFTER)


class TestLock:
    def test_one_at_a_time_in_a_workspace(self, postgres: str) -> None:
        with (
            database_lock(postgres, "a"),
            database_lock(postgres, "b"),
            pytest.raises(WorkspaceError, match="another run"),
            database_lock(postgres, "a"),
        ):
            pass
        with database_lock(postgres, "a"):
            pass

    def test_freed_when_its_holder_is_killed(self, postgres: str) -> None:
        context = multiprocessing.get_context("fork")
        held, leave = context.Event(), context.Event()
        holder = context.Process(target=hold, args=(postgres, held, leave))
        holder.start()
        assert held.wait(HANGS_AFTER)
        with pytest.raises(WorkspaceError, match="another run"), database_lock(postgres, "a"):
            pass
        holder.kill()
        holder.join()

        def is_free() -> bool:
            with contextlib.suppress(WorkspaceError), database_lock(postgres, "a"):
                return True
            return False

        wait_until(is_free)  # the server sees a closed connection, but not in the same instant

    def test_a_lock_that_was_lost_is_told(
        self, postgres: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "propagate", True)
        with database_lock(postgres, "a"):
            cut_connections(postgres)
        assert "lost the workspace's lock" in caplog.text

    def test_a_database_out_of_reach(self) -> None:
        url = "postgresql://someone:hunter2@127.0.0.1:9/none"
        with pytest.raises(StoreUnavailableError) as caught, database_lock(url, "a"):
            pass
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_workspace_without_a_database_has_no_tables(workspace: Workspace) -> None:
    assert open_tables(workspace, Settings()) is None


def test_workspaces_share_a_database(workspace: Workspace, settings: Settings, tmp_path: Path) -> None:
    other = Workspace.create_or_open(tmp_path / "other")
    workspace.with_settings(settings).catalogue.write(rows_of(3))
    other.with_settings(settings).catalogue.write(rows_of(4))
    append_some(other.root, settings, 1)
    assert workspace.with_settings(settings).catalogue.read().num_rows == 3
    assert workspace.with_settings(settings).log.read() == []
    keys = [one.with_settings(settings).keys.ensure_keys(["a"]) for one in (workspace, other)]
    assert keys[0] != keys[1]


def test_a_workspace_of_a_folder_is_locked_by_its_database_too(
    workspace: Workspace, settings: Settings, postgres: str
) -> None:
    with lock(workspace.with_settings(settings)), pytest.raises(WorkspaceError, match="another run"):  # noqa: SIM117
        with database_lock(postgres, workspace.id):
            pass
    with (
        database_lock(postgres, workspace.id),
        pytest.raises(WorkspaceError, match="another run"),
        lock(workspace.with_settings(settings)),
    ):
        pass
    with lock(workspace.with_settings(settings)):
        pass


def test_a_request_keeps_its_password_to_itself(workspace: Workspace, write_jsonl: Any) -> None:
    source = write_jsonl([{"text": "a", "id": "1"}])
    with_password, other = (
        Settings.model_validate({"ledger": {"url": f"postgresql://a:{word}@b/c"}, "database": {}})
        for word in ("hunter2", "hunter3")
    )
    request = make_request(workspace.with_settings(with_password), [source])
    submit_request(workspace, request)
    assert (workspace.local / "pending.json").stat().st_mode & 0o077 == 0
    assert make_request(workspace.with_settings(other), [source]).digest == request.digest
    assert read_request(workspace, request.run_id).settings == workspace.with_settings(with_password).settings


def test_a_request_holds_nothing_of_the_endpoints_replicas(workspace: Workspace, write_jsonl: Any) -> None:
    """A run uses neither the key nor the database that they share, whatever the environment of both holds."""
    source = write_jsonl([{"text": "a", "id": "1"}])
    shared = {"state_url": "postgresql://a:hunter2@b/c", "state_key": "c0ffee" * 10 + "c0de"}
    settings = Settings.model_validate({"encrypted": {"port": 8301, **shared}})
    request = make_request(workspace.with_settings(settings), [source])
    submit_request(workspace, request)
    stored = [path.read_bytes() for path in locate(workspace.url).rglob("*") if path.is_file()]
    assert len(stored) > 1
    for secret in (b"hunter2", b"c0ffee"):
        assert not [content for content in stored if secret in content]
    without = workspace.with_settings(Settings.model_validate({"encrypted": {"port": 8301}})).settings
    assert read_request(workspace, request.run_id) == replace(request, settings=without)
    assert make_request(workspace.with_settings(without), [source]) == replace(request, settings=without)
    written = without.model_dump(mode="json", exclude=dict.fromkeys(EXECUTION_SETTINGS, True))
    for section, names in (("ledger", ["url"]), ("encrypted", ["state_url", "state_key"])):
        for name in names:
            del written[section][name]
    assert request.digest == compute_digest([list(request.sources), written])  # as before there were replicas
