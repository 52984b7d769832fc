"""The ledger on a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import subprocess
import threading
from pathlib import Path

import pytest

from fixtures.postgres import NoPostgres, new_database, server
from lexveil.privacy.dp.ledger.admission import BudgetExceededError
from lexveil.privacy.dp.ledger.chain import LedgerUnavailableError
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, LedgerConflictError, Population
from tests.deadlines import HANGS_AFTER

psycopg = pytest.importorskip("psycopg")

OWNERS = Population("judgments", unit="owner")
RUN = Charge(noise_multiplier=8.0, sample_rate=0.2, steps=100)
DELTA = 1e-5
FIT = 5


@pytest.fixture(scope="module")
def postgres():
    try:
        with server() as url:
            yield url
    except NoPostgres as reason:
        pytest.skip(str(reason))


@pytest.fixture
def url(postgres, request):
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:60]
    return new_database(postgres, name)


@pytest.fixture
def ledger(url):
    ledger = Ledger(url)
    ledger.set_limit(OWNERS, 3.0, DELTA)
    return ledger


def test_a_life_of_a_run(ledger, url):
    first = ledger.reserve(OWNERS, RUN, "run 1", b"secret")
    again = Ledger(url).reserve(OWNERS, RUN, "run 1", b"another")
    assert (again.id, again.secret) == (first.id, b"secret")
    ledger.commit(first.id, 100)
    ledger.commit(first.id, 100)
    assert ledger.spent_epsilon(OWNERS, DELTA) == RUN.epsilon(DELTA)
    assert ledger.verify().ok
    with psycopg.connect(url) as raw:
        assert raw.execute("SELECT count(*) FROM secrets").fetchone() == (0,)


@pytest.mark.parametrize("statement", ["UPDATE entries SET payload = '{}'", "DELETE FROM entries",
                                       "TRUNCATE entries"])  # fmt: skip
def test_entries_cannot_be_changed_by_accident(ledger, url, statement):
    with psycopg.connect(url) as raw, pytest.raises(psycopg.Error, match="append-only"):
        raw.execute(statement)
    assert ledger.verify().ok


def _reserve_many(url, who, barrier, results):
    ledger = Ledger(url)
    barrier.wait()
    for number in range(FIT + 3):
        try:
            ledger.reserve(OWNERS, RUN, f"{who} {number}")
            results.put(1)
        except BudgetExceededError:
            results.put(0)


def test_two_processes_cannot_both_pass_the_limit(ledger, url):
    fresh = multiprocessing.get_context("fork")
    barrier, results = fresh.Barrier(2), fresh.Queue()
    both = [fresh.Process(target=_reserve_many, args=(url, who, barrier, results)) for who in "ab"]
    for process in both:
        process.start()
    admitted = sum(results.get(timeout=HANGS_AFTER) for _ in range(2 * (FIT + 3)))
    for process in both:
        process.join(timeout=HANGS_AFTER)
    alone = Ledger(url)
    assert admitted == sum(entry.kind == "reserve" for entry in alone.entries())
    assert admitted >= 2
    assert alone.spent_epsilon(OWNERS, DELTA) <= 3.0
    assert alone.verify().ok
    with pytest.raises(BudgetExceededError):
        alone.reserve(OWNERS, RUN, "one more")


def test_two_first_comers_make_one_table(postgres):
    url = new_database(postgres, "firstcomers")
    made: list[Ledger] = []
    threads = [threading.Thread(target=lambda: made.append(Ledger(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ledger.entries() for ledger in made] == [()] * 4


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_connection_lost_between_question_and_answer(ledger, url, moment, monkeypatch):
    """The server ends the session around the commit of a reservation; it is made once all the same."""
    from sqlalchemy import event

    ended: list[int] = []
    engine = ledger._store._engine

    def end(connection):
        if ended:
            return
        pid = connection.connection.dbapi_connection.info.backend_pid
        ended.append(pid)
        with psycopg.connect(url, autocommit=True) as killer:
            if moment == "after the commit":
                connection.connection.dbapi_connection.commit()
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    event.listen(engine, "commit", end)
    reservation = ledger.reserve(OWNERS, RUN, "run", b"secret")
    event.remove(engine, "commit", end)
    assert ended
    assert (reservation.state, reservation.secret) == ("open", b"secret")
    assert [entry.kind for entry in ledger.entries()] == ["limit", "reserve"]
    ended.clear()
    event.listen(engine, "commit", end)
    ledger.commit(reservation.id, 100)
    assert ended
    assert [entry.kind for entry in ledger.entries()] == ["limit", "reserve", "commit"]
    assert ledger.verify().ok


def test_a_lost_answer_needs_no_secret_to_be_found(ledger, url):
    """A run without a secret cannot be replayed, but the one who asked may still have its answer."""
    from sqlalchemy import event

    ended: list[int] = []

    def end(connection):
        if not ended:
            raw = connection.connection.dbapi_connection
            ended.append(raw.info.backend_pid)
            raw.commit()
            with psycopg.connect(url, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s, 5000)", (ended[0],))

    event.listen(ledger._store._engine, "commit", end)
    assert ledger.reserve(OWNERS, RUN, "run").state == "open"
    assert len(ledger.reservations(OWNERS)) == 1


def test_no_server_is_said_without_the_address(monkeypatch):
    monkeypatch.setattr("lexveil.privacy.database._PAUSES", (0.001,))
    with pytest.raises(LedgerUnavailableError) as refusal:
        Ledger("postgresql://somebody:password@127.0.0.1:1/ledger")
    assert "password" not in str(refusal.value)
    assert "OperationalError" in str(refusal.value)


class TestASecret:
    """It subtracts the noise of its run from the model: whoever holds the server's disk must not find it."""

    SECRET, KEPT = b"the key of the run's noise, wrapped", b"the key of a run that is open still"

    @pytest.fixture
    def settled(self, ledger):
        """A ledger with a settled run and an open one."""
        first = ledger.reserve(OWNERS, RUN, "first", self.SECRET)
        ledger.reserve(OWNERS, RUN, "second", self.KEPT)
        ledger.commit(first.id, 100)
        return ledger

    def test_leaves_the_servers_tables_with_the_commit(self, settled, url):
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute("CHECKPOINT")
            before = read_files(raw, url)
            raw.execute("VACUUM")
            raw.execute("CHECKPOINT")
            after = read_files(raw, url)
        for found in (before, after):
            assert found.count(self.SECRET) == 0
            assert found.count(self.KEPT) == 1
        assert settled.reserve(OWNERS, RUN, "second", b"another").secret == self.KEPT

    def test_is_in_no_dump_that_leaves_its_table_out(self, settled, url, postgres, tmp_path):
        """As docs/how-to/backup.md says; the ledger that is restored has all entries."""
        dump = subprocess.run(
            ["pg_dump", "--exclude-table=secrets", f"--dbname={url}"], capture_output=True, check=True
        ).stdout
        assert self.KEPT.hex().encode() not in dump
        there = new_database(postgres, "restored")
        subprocess.run(
            ["psql", "--quiet", f"--dbname={there}"], input=dump, stdout=subprocess.DEVNULL, check=True
        )
        restored = Ledger(there)
        assert restored.entries() == settled.entries()
        assert restored.verify().ok
        with pytest.raises(LedgerConflictError, match="no secret"):
            restored.reserve(OWNERS, RUN, "second", b"another")


def read_files(raw, url):
    """The bytes of all files of a database."""
    folder = raw.execute("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()")
    data = Path(url.rpartition("host=")[2]) / "data" / folder.fetchone()[0]
    try:
        return b"".join(path.read_bytes() for path in data.iterdir())
    except PermissionError:
        pytest.skip("the server's files can be read by its own user only")
