"""Tables in SQLite, and what a URL or a file that is none is called. (PostgreSQL: with the key table.)"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from lexveil.privacy.database import (
    Database,
    StoreUnavailableError,
    insert_missing,
    parse_postgres_url,
    postgres_connect_args,
    run_with_retries,
)
from lexveil.privacy.vault import VaultError

TABLES = sa.MetaData()
ROWS = sa.Table("rows", TABLES, sa.Column("id", sa.String, primary_key=True), sa.Column("value", sa.Integer))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'tables.db'}", TABLES)


def values(connection: sa.Connection) -> dict[str, int]:
    return {row.id: row.value for row in connection.execute(sa.select(ROWS))}


def put(**rows: int):
    def work(connection: sa.Connection) -> None:
        insert_missing(connection, ROWS, [{"id": name, "value": value} for name, value in rows.items()])

    return work


def test_what_is_missing_is_inserted_and_the_rest_left_alone(database: Database) -> None:
    database.write(put(a=1, b=2))
    database.write(put(b=20, c=3))
    database.write(put())
    assert database.read(values) == {"a": 1, "b": 2, "c": 3}


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    database.write(put(a=1))

    def fail(connection: sa.Connection) -> None:
        put(b=2)(connection)
        raise KeyError("a fault of the caller")

    with pytest.raises(KeyError):
        database.write(fail)
    assert database.read(values) == {"a": 1}


def test_a_reader_sees_one_moment_while_another_writes(database: Database) -> None:
    database.write(put(a=1))

    def read_twice(connection: sa.Connection) -> tuple[dict[str, int], dict[str, int]]:
        first = values(connection)
        writer = threading.Thread(target=database.write, args=(put(b=2),))
        writer.start()
        writer.join()
        return first, values(connection)

    assert database.read(read_twice) == ({"a": 1}, {"a": 1})
    assert database.read(values) == {"a": 1, "b": 2}


def test_writers_wait_for_each_other_and_lose_nothing(database: Database) -> None:
    database.write(put(count=0))

    def increase(connection: sa.Connection) -> None:
        count = values(connection)["count"]
        connection.execute(sa.update(ROWS).values(value=count + 1))

    threads = [threading.Thread(target=database.write, args=(increase,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read(values) == {"count": 12}


def test_deleted_rows_leave_the_files(database: Database, tmp_path: Path) -> None:
    database.write(put(**{"a-name-to-forget": 1, "b": 2}))
    database.write(lambda connection: connection.execute(sa.delete(ROWS).where(ROWS.c.id != "b")))
    assert database.scrub()
    assert all(b"a-name-to-forget" not in path.read_bytes() for path in tmp_path.iterdir())
    assert database.read(values) == {"b": 2}


def test_the_file_and_its_logs_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path / 'tables.db'}", TABLES)
        database.write(put(a=1))
        modes = database.read(lambda _: {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()})
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_file_that_is_no_database_is_named_by_its_kind_only(tmp_path: Path) -> None:
    path = tmp_path / "smith-v-jones.txt"
    path.write_text("The claimant. " * 100)
    with pytest.raises(StoreUnavailableError) as refusal:
        Database(f"sqlite:///{path}", TABLES)
    assert refusal.value.code == "store"
    assert "cannot be opened or used (DatabaseError)" in str(refusal.value)
    assert "smith" not in str(refusal.value)
    assert isinstance(refusal.value, VaultError)


def test_a_folder_that_is_missing_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        Database(f"sqlite:///{tmp_path / 'none' / 'tables.db'}", TABLES)


@pytest.mark.parametrize("schema", ["", "Upper", "1st", "a b", 'a"; DROP TABLE rows; --', "a" * 64])
def test_a_schema_that_is_no_plain_name_is_refused(tmp_path: Path, schema: str) -> None:
    with pytest.raises(ValueError, match="name of a schema"):
        Database(f"sqlite:///{tmp_path / 'tables.db'}", TABLES, schema)


@pytest.mark.parametrize("url", ["no url at all", "", "postgresql://host:port/name"])
def test_a_url_that_is_none_is_called_not_valid(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="its URL is not valid"):
        parse_postgres_url(url)


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite:///file.db"])
def test_another_database_is_refused_without_its_url(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="neither SQLite nor PostgreSQL") as refusal:
        parse_postgres_url(url)
    assert "name" not in str(refusal.value)


def test_a_password_stays_in_the_url_and_out_of_errors() -> None:
    url = parse_postgres_url("postgresql://someone:secret@host/name")
    assert (url.drivername, url.password) == ("postgresql+psycopg", "secret")
    assert "secret" not in str(url)


def test_a_server_that_is_gone_is_noticed_unless_the_url_says_otherwise() -> None:
    url = parse_postgres_url("postgresql://host/name?keepalives_idle=7&sslmode=require")
    assert url.query["keepalives_idle"] == "7"
    assert url.query["sslmode"] == "require"
    assert (url.query["keepalives"], url.query["tcp_user_timeout"]) == ("1", "90000")
    assert parse_postgres_url(url, {"keepalives_count": "2"}).query == url.query


def test_settings_of_a_session_are_those_of_every_one_and_the_given() -> None:
    options = postgres_connect_args(statement_timeout="5s")["options"]
    assert "-c lock_timeout=60s" in options
    assert "-c statement_timeout=5s" in options
    assert "lock_timeout=1s" in postgres_connect_args(lock_timeout="1s")["options"]


class _Lost(Exception):
    """An error of a driver, with PostgreSQL's code if there is one."""

    def __init__(self, state: str | None) -> None:
        super().__init__("at postgresql://someone:secret@host")
        self.sqlstate = state


class TestRetries:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lexveil.privacy.database._PAUSES", (0, 0))

    def outcome(self, error: Exception, failures: int, sqlite: bool = False) -> int:
        """The number of attempts until the work succeeded."""
        calls = 0

        def work() -> int:
            nonlocal calls
            calls += 1
            if calls <= failures:
                raise error
            return calls

        return run_with_retries(work, sqlite)

    @pytest.mark.parametrize("state", [None, "08006", "40001", "53300", "57P01"])
    def test_what_passes_is_tried_again(self, state: str | None) -> None:
        assert self.outcome(exc.OperationalError("SELECT", {}, _Lost(state)), 2) == 3

    @pytest.mark.parametrize("state", [None, "40001"])
    def test_not_for_ever(self, state: str | None) -> None:
        with pytest.raises(StoreUnavailableError) as refusal:
            self.outcome(exc.OperationalError("SELECT", {}, _Lost(state)), 3)
        assert refusal.value.cause == "_Lost"
        assert "secret" not in str(refusal.value)
        assert refusal.value.__suppress_context__

    def test_a_fault_that_stays_is_not_tried_again(self) -> None:
        for error, sqlite in (
            (exc.ProgrammingError("SELECT", {}, _Lost("42501")), False),
            (exc.OperationalError("SELECT", {}, _Lost(None)), True),
            (OSError("disk"), False),
        ):
            with pytest.raises(StoreUnavailableError):
                self.outcome(error, 1, sqlite)

    def test_a_fault_of_the_caller_is_its_own(self) -> None:
        with pytest.raises(KeyError):
            self.outcome(KeyError("x"), 1)
