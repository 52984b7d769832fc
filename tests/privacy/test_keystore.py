"""The key table: one key a document, safe for several processes, gone when it is destroyed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import ErasedError, MasterKey, MasterKeyError, TamperedError, VaultError

KEY = bytes(range(32))


Opener = Callable[..., KeyStore]


def open_sqlite(folder: Path, master: MasterKey | None = None) -> KeyStore:
    return KeyStore(f"sqlite:///{folder / 'keys.db'}", master or MasterKey(KEY))


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest) -> Opener:
    """Opens the key table of a folder; in PostgreSQL it has a schema of its own."""
    if request.param == "sqlite":
        return open_sqlite
    url = request.getfixturevalue("postgres")

    def open_schema(folder: Path, master: MasterKey | None = None) -> KeyStore:
        return KeyStore(url, master or MasterKey(KEY), schema_of(folder))

    return open_schema


def schema_of(folder: Path) -> str:
    return f"lexveil_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


class TestKeyStore:
    def test_keys_are_made_once_and_differ(self, open_store: Opener, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        keys = store.ensure_keys(["a", "b", "a"])
        assert keys["a"] != keys["b"]
        assert len(keys["a"]) == 32
        assert open_store(tmp_path).ensure_keys(["b", "c"])["b"] == keys["b"]
        assert store.existing_keys(["a", "z"]) == {"a": keys["a"]}

    def test_more_documents_than_one_statement_holds(self, open_store: Opener, tmp_path: Path) -> None:
        ids = [f"doc-{number}" for number in range(1234)]
        store = open_store(tmp_path)
        assert store.ensure_keys(ids) == store.existing_keys(ids)
        assert store.destroy_keys(ids) == 1234
        assert store.erased_ids(ids) == set(ids)

    def test_a_note_has_one_value_and_outlives_a_rotation(self, open_store: Opener, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        assert store.recall("ledger/default") is None
        store.remember("ledger/default", "first")
        store.remember("ledger/default", "second")
        store.remember("ledger/other", "third")
        new = MasterKey(bytes(32))
        store.rewrap_keys(new)
        again = open_store(tmp_path, new)
        assert [again.recall(f"ledger/{name}") for name in ("default", "other")] == ["second", "third"]

    def test_moments_follow_each_other_whatever_the_clock_says(
        self, open_store: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_store(tmp_path)
        clock = [2e9]
        monkeypatch.setattr("lexveil.privacy.keystore.time.time", lambda: clock[0])
        moments: list[float] = []
        for number, clock[0] in enumerate((2e9, 1e9, 1e9, 3e9, 2e9)):
            store.ensure_keys([f"doc-{number}"])
            moments += [store.creation_times([f"doc-{number}"])[f"doc-{number}"], store.next_moment()]
        assert moments == sorted(set(moments))
        assert [round(moment) for moment in moments[::2]] == [2e9, 2e9, 2e9, 3e9, 3e9]
        later = {f"doc-{number}": moments[2 * number] for number in (3, 4)}
        assert store.keys_since(moments[4]) == later
        again = open_store(tmp_path)
        again.ensure_keys(["doc-4", "doc-5"])
        assert again.creation_times(["doc-4", "doc-5"])["doc-4"] == moments[-2]
        assert again.creation_times(["doc-5"])["doc-5"] > moments[-1]

    def test_moments_go_on_in_tables_that_were_begun_without_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_sqlite(tmp_path)
        monkeypatch.setattr("lexveil.privacy.keystore.time.time", lambda: 2e9)
        store.ensure_keys(["a"])
        with sqlite3.connect(tmp_path / "keys.db") as database:
            database.execute("DELETE FROM facts WHERE name = 'newest'")
        monkeypatch.setattr("lexveil.privacy.keystore.time.time", lambda: 1e9)
        assert store.next_moment() > 2e9

    def test_files_are_private(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            open_sqlite(tmp_path).ensure_keys(["a"])
        finally:
            os.umask(before)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}

    def test_destroyed_keys_leave_a_tombstone_and_no_bytes(self, tmp_path: Path) -> None:
        store = open_sqlite(tmp_path)
        ids = [f"doc-{number}" for number in range(300)]
        kept = store.ensure_keys(ids)["doc-7"]
        with sqlite3.connect(tmp_path / "keys.db") as connection:
            rows = dict(connection.execute("SELECT id, wrapped FROM data_keys").fetchall())
        connection.close()
        gone = [doc_id for doc_id in ids if doc_id != "doc-7"]
        assert store.destroy_keys([*gone, "never-seen"]) == 299
        assert store.erased_ids(["doc-7", "doc-8", "never-seen"]) == {"doc-8", "never-seen"}
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not any(rows[doc_id][13:] in files for doc_id in gone)
        assert rows["doc-7"][13:] in files
        assert store.existing_keys(ids) == {"doc-7": kept}

    def test_an_erased_document_gets_no_new_key(self, open_store: Opener, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["a"])
        store.destroy_keys(["a"])
        with pytest.raises(ErasedError) as caught:
            store.ensure_keys(["a", "b"])
        assert caught.value.count == 1
        assert store.existing_keys(["a", "b"]) == {}
        assert store.destroy_keys(["a"]) == 0

    def test_without_a_tombstone_it_may_come_again_under_another_key(
        self, open_store: Opener, tmp_path: Path
    ) -> None:
        store = open_store(tmp_path)
        before = store.ensure_keys(["a", "b"])
        assert store.destroy_keys(["a"], tombstones=()) == 1
        assert store.erased_ids(["a"]) == set()
        again = store.ensure_keys(["a", "b"])
        assert again["a"] != before["a"]
        assert again["b"] == before["b"]

    def test_exchanged_rows_are_noticed(self, tmp_path: Path) -> None:
        store = open_sqlite(tmp_path)
        store.ensure_keys(["a", "b"])
        with sqlite3.connect(tmp_path / "keys.db") as connection:
            connection.execute(
                "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE id = 'b') WHERE id = 'a'"
            )
        connection.close()
        with pytest.raises(TamperedError):
            store.existing_keys(["a"])

    def test_rotation_keeps_data_keys_and_locks_the_old_master_out(
        self, open_store: Opener, tmp_path: Path
    ) -> None:
        store, bystander = open_store(tmp_path), open_store(tmp_path)
        keys, purpose = store.ensure_keys(["a", "b"]), store.purpose_key("document-ids")
        new = MasterKey.generate()
        assert store.rewrap_keys(new) == 3
        assert open_store(tmp_path, new).existing_keys(["a", "b"]) == keys
        assert store.purpose_key("document-ids") == purpose
        # A process that still holds the old key must not add rows nobody can open.
        for use in (lambda: bystander.ensure_keys(["c"]), lambda: open_store(tmp_path)):
            with pytest.raises(MasterKeyError, match="wrong_key"):
                use()
        assert store.existing_keys(["c"]) == {}

    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_concurrent_processes_agree_on_every_key(
        self, kind: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        url = f"sqlite:///{tmp_path}/keys.db" if kind == "sqlite" else request.getfixturevalue("postgres")
        program = (
            "import sys, hashlib; from pathlib import Path\n"
            "from lexveil.privacy.keystore import KeyStore; from lexveil.privacy.vault import MasterKey\n"
            "url, key, schema = sys.argv[1:]\n"
            "store = KeyStore(url, MasterKey.from_file(Path(key)), schema)\n"
            "ids = [str(number) for number in range(300)]\n"
            "keys = {}\n"
            "for start in range(0, 300, 10): keys |= store.ensure_keys(ids[start:start + 10])\n"
            "print(hashlib.sha256(b''.join(keys[name] for name in ids)).hexdigest())\n"
        )
        arguments = [sys.executable, "-c", program, url, str(tmp_path / "master.key"), schema_of(tmp_path)]
        running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        printed = [process.communicate()[0] for process in running]
        assert [process.returncode for process in running] == [0, 0, 0]
        assert len(set(printed)) == 1

    @pytest.mark.parametrize(
        "url", ["sqlite:///{}/none/keys.db", "sqlite:///{}/broken.db", "nonsense:hunter2"]
    )
    def test_a_table_that_cannot_be_opened(self, tmp_path: Path, url: str) -> None:
        (tmp_path / "broken.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
        with pytest.raises(VaultError) as caught:
            KeyStore(url.format(tmp_path), MasterKey(KEY))
        assert caught.value.code == "store"
        assert "hunter2" not in str(caught.value)

    def test_nothing_secret_in_reprs_and_messages(self, open_store: Opener, tmp_path: Path) -> None:
        store = open_store(tmp_path)
        store.ensure_keys(["smith-v-jones"])
        store.destroy_keys(["smith-v-jones"])
        with pytest.raises(ErasedError) as caught:
            store.ensure_keys(["smith-v-jones"])
        assert "smith" not in repr(caught.value) + str(caught.value) + repr(store)

    def test_two_tables_of_one_master_key_name_a_document_alike(
        self, open_store: Opener, tmp_path: Path
    ) -> None:
        one, two, other = (tmp_path / name for name in ("one", "two", "other"))
        for folder in (one, two, other):
            folder.mkdir()
        purpose = open_store(one).purpose_key("doc-id")
        assert open_store(two).purpose_key("doc-id") == purpose
        assert open_store(other, MasterKey(bytes(32))).purpose_key("doc-id") != purpose
        assert open_store(one).ensure_keys(["d"]) != open_store(two).ensure_keys(["d"])


class TestPostgres:
    def test_destroyed_keys_are_gone_from_the_servers_files(self, postgres: str, tmp_path: Path) -> None:
        store, schema = KeyStore(postgres, MasterKey(KEY), schema_of(tmp_path)), schema_of(tmp_path)
        ids = [f"doc-{number}" for number in range(300)]
        kept = store.ensure_keys(ids)["doc-7"]
        server = sa.create_engine(
            postgres.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool
        )
        with server.connect() as watcher:
            # An old transaction that still sees the rows, as a dump would: VACUUM had to spare them.
            watcher = watcher.execution_options(isolation_level="REPEATABLE READ")
            rows = dict(
                watcher.execute(sa.text(f"SELECT id, wrapped FROM {schema}.data_keys")).tuples().all()
            )
            watcher.rollback()
            watcher.execute(sa.text("SELECT count(*) FROM pg_class"))
            assert store.destroy_keys([doc_id for doc_id in ids if doc_id != "doc-7"]) == 299
            with server.connect() as other:
                other.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("CHECKPOINT"))
                folder = other.scalar(
                    sa.text("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()")
                )
        host = sa.make_url(postgres).query["host"]
        assert isinstance(host, str)
        data = Path(host) / "data" / str(folder)
        try:
            files = b"".join(path.read_bytes() for path in data.iterdir())
        except PermissionError:
            pytest.skip("the server's files can be read by its own user only")
        assert not any(bytes(rows[doc_id])[13:] in files for doc_id in ids if doc_id != "doc-7")
        assert bytes(rows["doc-7"])[13:] in files
        assert store.existing_keys(ids) == {"doc-7": kept}

    def test_workspaces_share_a_database_and_nothing_else(self, postgres: str, tmp_path: Path) -> None:
        one, two = (
            KeyStore(postgres, MasterKey(bytes([number]) * 32), schema_of(tmp_path / str(number)))
            for number in (1, 2)
        )
        keys = one.ensure_keys(["a"]), two.ensure_keys(["a"])
        assert keys[0] != keys[1]
        one.destroy_keys(["a"])
        assert two.existing_keys(["a"]) == keys[1]
        assert two.erased_ids(["a"]) == set()

    def test_a_connection_that_is_cut_is_opened_again(self, postgres: str, tmp_path: Path) -> None:
        store = KeyStore(postgres, MasterKey(KEY), schema_of(tmp_path))
        keys = store.ensure_keys(["a"])
        cut_all(postgres)
        assert store.ensure_keys(["a", "b"])["a"] == keys["a"]

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://someone:hunter2@127.0.0.1:9/none",
            "postgresql+psycopg://someone:hunter2@/none?host=/nowhere",
            "mysql://someone:hunter2@127.0.0.1/none",
            "postgresql://someone:hunter2@127.0.0.1:port/none",
        ],
    )
    def test_a_database_out_of_reach(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lexveil.privacy.database._PAUSES", ())
        with pytest.raises(VaultError) as caught:
            KeyStore(url, MasterKey(KEY))
        assert caught.value.code == "store"
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def cut_all(url: str) -> None:
    """End all other sessions of the database, as a restart of the server would."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
        )
