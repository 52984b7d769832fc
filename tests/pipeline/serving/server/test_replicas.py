"""Replicas: several servers on a real PostgreSQL are one endpoint."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from fixtures.postgres import crash, cut_connections, frozen
from fixtures.round_robin import round_robin
from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.channel import Channel, InProcessTransport
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, RetryPolicy
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.pipeline.serving.endpoint import open_state as open_endpoint
from lexveil.pipeline.serving.endpoint import serve_bundle
from lexveil.pipeline.serving.server.access import ApiKeys
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.errors import StateUnavailableError, UnauthorizedError
from lexveil.pipeline.serving.server.leakage import LeakageLedger, LeakageLimitError, read_variations
from lexveil.pipeline.serving.server.offers import Listed, Offer, OfferDraft, ServingBundle, tell_time
from lexveil.pipeline.serving.server.quotas import Admission, QuotaExceededError, QuotaLimits, Quotas
from lexveil.pipeline.serving.server.replicas import SharedState
from lexveil.pipeline.serving.server.sessions import (
    SessionLimits,
    SessionNotFoundError,
    Sessions,
    SessionsFullError,
)
from lexveil.pipeline.serving.server.shared_tables import SharedTables
from lexveil.pipeline.serving.server.state import ServerState, open_log
from lexveil.pipeline.settings import EncryptedSettings
from lexveil.privacy.he.served_model import LinearHead, ServedModel
from tests.deadlines import HANGS_AFTER, wait_until
from tests.pipeline.serving.conftest import RunningServer

psycopg = pytest.importorskip("psycopg")

KEY = "ab" * 32
Open = Callable[[str], ServerState]


@pytest.fixture
def open_shared(url: str, tmp_path: Path) -> Iterator[Callable[[str], SharedState]]:
    """Called with the name of a replica's folder."""
    opened: list[SharedState] = []

    def open_one(name: str) -> SharedState:
        opened.append(SharedState(url, KEY, tmp_path / name))
        return opened[-1]

    yield open_one
    for shared in opened:
        shared.close()


@pytest.fixture
def open_state(open_shared: Callable[[str], SharedState], tmp_path: Path) -> Open:
    """Called with the name of a replica's folder; each has its own."""
    return lambda name: ServerState(tmp_path / name, open_shared(name))


@pytest.fixture
def offer(head: LinearHead) -> Offer:
    return Offer(ServedModel(head), ["a", "b", "c"])


def test_replicas_that_start_at_once_are_one_server(open_state: Open) -> None:
    """The schema is made once, with one identity."""
    with ThreadPoolExecutor(6) as pool:
        states = list(pool.map(open_state, "abcdef"))
    assert len({state.signing_key.private_bytes_raw() for state in states}) == 1
    assert len({state.commit_to_weights("0") for state in states}) == 1
    assert len({state.local_token for state in states}) == 6


def test_an_api_key_holds_and_ends_everywhere_at_once(open_state: Open) -> None:
    one, other = (ApiKeys(open_state(name).api_keys) for name in "ab")
    assert not other
    key = one.issue("court")
    assert (other.identify(key), bool(other)) == ("court", True)
    assert [record.tenant for record in other.list()] == ["court"]
    other.revoke(key.split("_")[1])
    with pytest.raises(UnauthorizedError):
        one.identify(key)
    with pytest.raises(EndpointError):
        one.revoke(key.split("_")[1])


class TestQuotas:
    def test_they_hold_over_all_replicas(self, open_state: Open) -> None:
        limits = QuotaLimits(slots_per_minute=60, slots_per_day=50)
        replicas = [Quotas(open_state(name).usages, limits, now=lambda: 1e9) for name in "ab"]

        def charge(number: int) -> bool:
            try:
                replicas[number % 2].charge("a", 1)
            except QuotaExceededError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(charge, range(80))) == 50
        assert {replica.count_used_today("a") for replica in replicas} == {50}
        replicas[0].charge("b", 50)

    def test_requests_at_once_are_those_of_all_that_live(self, open_state: Open) -> None:
        now, limits = [1e9], QuotaLimits(requests_at_once=2)
        one, other = (Quotas(open_state(name).usages, limits, now=lambda: now[0]) for name in "ab")
        ended = Admission()
        one.begin("a", Admission())
        other.begin("a", ended)
        for full in (one, other):
            with pytest.raises(QuotaExceededError):
                full.begin("a", Admission())
        other.end("a", ended)
        one.begin("a", Admission())
        now[0] += 14
        for tenant in one.list_active():
            one.tell(tenant)
        now[0] += 14
        with pytest.raises(QuotaExceededError):
            other.begin("a", Admission())
        now[0] += 2  # the first one was killed
        other.begin("a", Admission())

    def test_cpu_time_adds_up(self, open_state: Open) -> None:
        limits = QuotaLimits(cpu_seconds_per_minute=6)
        one, other = (Quotas(open_state(name).usages, limits, now=lambda: 1e9) for name in "ab")
        with one.admit_request("a"):
            one.charge_cpu("a", 9)
        with pytest.raises(QuotaExceededError) as caught:
            other.begin("a", Admission())
        assert caught.value.retry_after == 31


def test_leakage_adds_up_over_replicas_and_restarts(open_state: Open) -> None:
    limit = 0.125
    ledgers = [LeakageLedger(open_state(name).tables) for name in "ab"]
    for number in range(32):
        ledgers[number % 2].charge("a", "head", 2.0**-10, limit)
    for ledger in (*ledgers, LeakageLedger(open_state("c").tables)):
        with pytest.raises(LeakageLimitError):
            ledger.charge("a", "head", 2.0**-10, limit)


def test_restarts_use_up_no_limit_of_leakage(open_state: Open) -> None:
    """Not even of replicas that are killed, a hundred times."""
    tables, limit = open_state("a").tables, 0.25
    for _ in range(120):
        LeakageLedger(tables, shared=True).charge("a", "head", 2.0**-30, limit)
    assert read_variations(tables)["a"] < limit / 5
    ledger = LeakageLedger(tables, shared=True)
    before = read_variations(tables)["a"]
    ledger.reserve("a", "head", 2.0**-30, limit)
    ledger.close()
    assert read_variations(tables)["a"] == pytest.approx(before)


class TestSessions:
    def test_one_that_a_replica_opened_is_found_by_all(self, open_state: Open) -> None:
        one, other = open_state("a"), open_state("b")
        opening, finding = Sessions(one, SessionLimits()), Sessions(other, SessionLimits())
        session, _ = asyncio.run(opening.open("t", "block", "head", b"keys"))
        found = finding.find(session, "t")
        assert (found.keys.parent, found.keys.read_bytes()) == (other.keys_folder, b"keys")
        assert found.keys.stat().st_mode & 0o777 == 0o600
        with pytest.raises(SessionNotFoundError):
            finding.find(session, "other tenant")
        opening.close(session, "t")
        with pytest.raises(SessionNotFoundError):
            finding.find(session, "t")

    def test_their_limits_hold_over_all_replicas(self, open_state: Open) -> None:
        replicas = [Sessions(open_state(name), SessionLimits(per_tenant=4)) for name in "ab"]

        async def open_one(number: int) -> bool:
            try:
                await replicas[number % 2].open("t", "block", "head", b"keys")
            except SessionsFullError:
                return False
            return True

        async def open_all() -> list[bool]:
            return await asyncio.gather(*map(open_one, range(12)))

        assert sum(asyncio.run(open_all())) == 4
        assert replicas[0].usage() == (4, 16)

    def test_expired_keys_and_those_of_a_killed_server_are_deleted(self, open_state: Open, url: str) -> None:
        now = [1e9]
        state = open_state("a")
        sessions = Sessions(state, SessionLimits(seconds=10), lambda: now[0])
        session, _ = asyncio.run(sessions.open("t", "block", "head", b"keys"))
        sessions.find(session, "t")
        state.keys.keep("of a session that was never opened", "", b"keys")
        with psycopg.connect(url) as raw:
            raw.execute("UPDATE lexveil_endpoint.evaluation_keys SET stored_at = 0")
        now[0] += 10
        sessions.purge()  # expired: its row goes after its keys
        sessions.purge()
        with psycopg.connect(url) as raw:
            assert raw.execute("SELECT count(*) FROM lexveil_endpoint.evaluation_keys").fetchone() == (0,)


class TestWhoHasTheDatabase:
    def test_it_holds_nothing_that_is_secret(self, open_state: Open, url: str) -> None:
        state = open_state("a")
        key = ApiKeys(state.api_keys).issue("court")
        evaluation = b"evaluation keys of a client"
        session, _ = asyncio.run(Sessions(state, SessionLimits()).open("court", "block", "head", evaluation))
        state.log.append("serve", "done", {})
        hidden = [key.encode(), key.split("_", 2)[2].encode(), session.encode(), evaluation, b'"salt"']
        hidden += [state.signing_key.private_bytes_raw(), bytes.fromhex(KEY), KEY.encode()]
        with psycopg.connect(url) as raw:
            tables = raw.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'lexveil_endpoint'"
            ).fetchall()
            assert len(tables) >= 9
            for (table,) in tables:
                for row in raw.execute(f"SELECT * FROM lexveil_endpoint.{table}"):
                    stored = b"\n".join(
                        value if isinstance(value, bytes) else str(value).encode() for value in row
                    )
                    assert not [one for one in hidden if one in stored], table

    def test_rows_that_are_written_or_moved_open_nothing(self, open_state: Open, url: str) -> None:
        state = open_state("a")
        keys, sessions = ApiKeys(state.api_keys), Sessions(open_state("b"), SessionLimits())
        known, foreign = keys.issue("court"), keys.issue("firm")
        own, victims = (
            asyncio.run(Sessions(state, SessionLimits()).open(tenant, "block", "head", tenant.encode()))[0]
            for tenant in ("court", "firm")
        )
        with psycopg.connect(url) as raw:
            # The thief gives his key's id another tenant's record, and his session another's keys.
            raw.execute(
                "UPDATE lexveil_endpoint.api_keys SET sealed = (SELECT sealed FROM lexveil_endpoint.api_keys "
                "WHERE key_id = %s) WHERE key_id = %s",
                (foreign.split("_")[1], known.split("_")[1]),
            )
            raw.execute(
                "UPDATE lexveil_endpoint.evaluation_keys SET sealed = "
                "(SELECT sealed FROM lexveil_endpoint.evaluation_keys ORDER BY stored_at DESC LIMIT 1)"
            )
        with pytest.raises(UnauthorizedError):
            keys.identify(known)
        assert keys.identify(foreign) == "firm"
        assert not sessions.find(own, "court").keys.exists()
        assert sessions.find(victims, "firm").keys.read_bytes() == b"firm"

    @pytest.mark.parametrize("change", ["tenant = 'firm'", "layout = 'slot'", "head = 'another'"])
    def test_a_copy_of_keys_serves_only_what_it_was_made_for(
        self, change: str, open_state: Open, url: str
    ) -> None:
        """Also after a restart: a session that is given to others has no keys, copied or not."""
        sessions = Sessions(open_state("a"), SessionLimits())
        session, _ = asyncio.run(sessions.open("court", "block", "head", b"keys"))
        assert sessions.find(session, "court").keys.read_bytes() == b"keys"
        with psycopg.connect(url) as raw:
            raw.execute(f"UPDATE lexveil_endpoint.sessions SET {change}".encode())
        tenant = "firm" if "firm" in change else "court"
        for one in (sessions, Sessions(open_state("a"), SessionLimits())):
            assert not one.find(session, tenant).keys.exists()
        sessions.close(session, tenant)
        assert not list((open_state("a").keys_folder).glob("*.keys"))

    def test_another_state_key_is_refused(self, open_state: Open, url: str, tmp_path: Path) -> None:
        open_state("a")
        with pytest.raises(EndpointError, match="state_key"):
            SharedState(url, "cd" * 32, tmp_path)


class TestAnEndpointThatHadNoReplicas:
    """Its clients need not trust another key, no limit begins anew, and its folder is no second truth."""

    @pytest.fixture
    def former(self, tmp_path: Path) -> ServerState:
        return ServerState(tmp_path / "former")

    def test_it_brings_what_it_has(self, former: ServerState, open_state: Open) -> None:
        now = 1e9
        key = ApiKeys(former.api_keys).issue("court")
        Quotas(former.usages, QuotaLimits(), now=lambda: now).charge("court", 7)
        LeakageLedger(former.tables).charge("court", "head", 2.0**-6, 0.125)
        former.log.append("serve", "done", {"of": "before"})
        told = former.log.verify()
        for one in (open_state("former"), open_state("other")):
            assert one.signing_key.private_bytes_raw() == former.signing_key.private_bytes_raw()
            assert one.commit_to_weights("0") == former.commit_to_weights("0")
            assert ApiKeys(one.api_keys).identify(key) == "court"
            assert Quotas(one.usages, QuotaLimits(), now=lambda: now).count_used_today("court") == 7
            one.log.append("serve", "done", {})
            verified = one.log.verify(told.head)
            assert (verified.public_key, verified.intact) == (told.public_key, True)
            with pytest.raises(LeakageLimitError):
                LeakageLedger(one.tables).charge("court", "head", 2.0**-5, 0.125)

    def test_what_the_database_holds_is_set_aside(self, former: ServerState, open_state: Open) -> None:
        """Used without the database, the folder would be the endpoint again, with keys that were revoked."""
        key = ApiKeys(former.api_keys).issue("court")
        former.log.append("serve", "done", {})
        ApiKeys(open_state("former").api_keys).revoke(key.split("_")[1])
        names = ("signing.key", "salt", "log.key", "log.jsonl", "api-keys.json", "state.sqlite")
        for name in names:
            path = former.folder / name
            assert not path.exists(), name
            assert path.with_name(name + ".adopted").stat().st_mode & 0o777 == 0o600, name
        assert not ApiKeys(ServerState(former.folder).api_keys)

    @pytest.mark.parametrize("moved", [0, 1, 3])
    def test_a_server_that_is_killed_meanwhile_leaves_it_to_the_next(
        self, moved: int, former: ServerState, open_state: Open
    ) -> None:
        key = ApiKeys(former.api_keys).issue("court")
        former.log.append("serve", "done", {})
        ApiKeys(open_state("former").api_keys).revoke(key.split("_")[1])
        aside = sorted(former.folder.glob("*.adopted"))
        for path in aside[moved:]:  # as they are where it was killed; the identity goes last
            path.rename(path.with_suffix(""))
        again = open_state("former")
        assert sorted(former.folder.glob("*.adopted")) == aside
        assert not ApiKeys(again.api_keys).list()

    def test_a_server_that_uses_the_folder_ends_first(
        self, former: ServerState, open_state: Open, url: str
    ) -> None:
        with former.lock(), pytest.raises(EndpointError, match="another endpoint serves"):
            open_state("former")
        with psycopg.connect(url) as raw:
            assert raw.execute("SELECT to_regclass('lexveil_endpoint.identity')").fetchone() == (None,)
        key = ApiKeys(former.api_keys).issue("court")
        assert ApiKeys(open_state("former").api_keys).identify(key) == "court"


def test_a_database_of_a_later_version_is_refused(open_state: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr("lexveil.pipeline.serving.server.replicas.STATE_VERSION", 2)
        open_state("later")
    with pytest.raises(EndpointError, match="later Lexveil"):
        open_state("earlier")


def test_a_server_waits_for_its_database(
    url: str, open_state: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexveil.pipeline.serving.server.listen.log_as_json", lambda: None)
    open_state("a")
    folder = Path(url.rpartition("host=")[2])
    link = folder.with_name(folder.name + "-late")  # of a socket, whose path must be short
    away = url.replace(str(folder), str(link))
    settings = EncryptedSettings(port=0, workers=1, state_url=away, state_key=KEY)
    (tmp_path / "bundle").mkdir()
    with pytest.raises(EndpointError):  # a command does not wait
        open_endpoint(tmp_path / "b", settings)
    looked, listening, stop = threading.Event(), threading.Event(), threading.Event()

    def interrupted() -> bool:
        looked.set()
        return stop.is_set()

    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(
            serve_bundle,
            tmp_path / "bundle",
            tmp_path / "b",
            settings,
            interrupted,
            lambda _: listening.set(),
        )
        try:
            assert looked.wait(HANGS_AFTER)
            time.sleep(0.2)
            assert not serving.done()
            link.symlink_to(folder)
            wait_until(lambda: listening.is_set() or serving.done())
            assert listening.is_set()
        finally:
            stop.set()
            link.unlink(missing_ok=True)
        serving.result(HANGS_AFTER)


def test_the_folder_of_another_endpoint_is_refused(tmp_path: Path, open_state: Open) -> None:
    """As where a key was issued before the server that had no replicas was started with the database."""
    open_state("new")
    ServerState(tmp_path / "former")
    with pytest.raises(EndpointError, match="another endpoint"):
        open_state("former")


def test_one_log_tells_what_all_did(open_state: Open, open_shared: Any, tmp_path: Path) -> None:
    one, other = open_state("a"), open_state("b")
    for state in (one, other, one):
        state.log.append("serve-model", "done", {})
    verification = open_log(tmp_path / "c", open_shared("c")).verify()
    assert (verification.entries, verification.intact) == (3, True)


def test_a_database_that_does_not_answer_is_no_damage(
    calling: Any, open_state: Open, offer: Offer, honest: Any, url: str
) -> None:
    state = open_state("a")
    operator = f"Bearer lxv_{'0' * 12}_{'a' * 43}"
    with calling(create_app(offer, ServerLimits(), state=state), state) as caller:
        session = caller.open(honest.evaluation)
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute("ALTER SCHEMA lexveil_endpoint RENAME TO gone")
            refused = caller.classify(session, honest.request)
            assert (refused.status_code, refused.json()["error"]) == (503, "state")
            assert int(refused.headers["Retry-After"]) > 0
            assert caller.http.get("/healthz").status_code == 200
            wait_until(lambda: caller.http.get("/readyz").status_code == 503)
            assert "lexveil_workers_alive" in caller.http.get("/metrics").text
            # Whose key this is, nobody can say: monitoring must not take it for a wrong key.
            assert caller.http.get("/metrics", headers={"Authorization": operator}).status_code == 503
            raw.execute("ALTER SCHEMA gone RENAME TO lexveil_endpoint")
        assert caller.classify(session, honest.request).status_code == 200
        wait_until(lambda: caller.http.get("/readyz").status_code == 200)


def test_sessions_of_a_model_that_goes_during_an_outage_are_ended_after_it(
    calling: Any, open_state: Open, honest: Any, head: LinearHead, url: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("lexveil.pipeline.serving.server.app._LOOK_SECONDS", 0.02)
    bundle, state = ServingBundle(tmp_path / "bundle"), open_state("a")

    def offer_model(name: str) -> None:
        with bundle.add_offer(OfferDraft(name, ["a", "b", "c"], "sealed", head, {}), name):
            pass
        bundle.write_listing([Listed(name, tell_time(), name)])

    offer_model("erased")
    with calling(create_app(bundle, state=state), state) as caller:
        caller.open(honest.evaluation)
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute("ALTER SCHEMA lexveil_endpoint RENAME TO gone")
            bundle.write_listing([])
            wait_until(lambda: caller.http.get("/readyz").json().get("error") == "no_model")
            time.sleep(0.1)
            raw.execute("ALTER SCHEMA gone RENAME TO lexveil_endpoint")
        offer_model("new")
        wait_until(lambda: caller.http.get("/readyz").status_code == 200)
        # If the database was away for the attempt before the new model, the next one ends them.
        for table in ("sessions", "evaluation_keys"):
            query = f"SELECT count(*) FROM {table}"
            wait_until(lambda query=query: state.tables.run(query) == [(0,)])


def test_a_database_that_is_restarted_costs_no_answer(
    calling: Any, open_state: Open, offer: Offer, honest: Any, url: str
) -> None:
    state = open_state("a")
    with calling(create_app(offer, ServerLimits(), state=state), state) as caller:
        session = caller.open(honest.evaluation)
        assert cut_connections(url) > 0
        assert caller.classify(session, honest.request).status_code == 200
        crash(url)
        wait_until(lambda: caller.classify(session, honest.request).status_code == 200)
    assert state.tables.run("SELECT count(*) FROM sessions") == [(1,)]


def test_a_database_that_is_frozen_keeps_no_request_and_no_thread(
    calling: Any, open_state: Open, offer: Offer, honest: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexveil.pipeline.serving.server.state._THREAD_SECONDS", 0.3)
    state = open_state("a")
    with calling(create_app(offer, ServerLimits(), state=state), state) as caller:
        session = caller.open(honest.evaluation)
        with ThreadPoolExecutor(8) as pool, frozen(url):
            asked = [pool.submit(caller.http.get, path) for path in ("/v1/manifest", "/readyz") * 4]
            assert {one.result(HANGS_AFTER).status_code for one in asked} == {503}
            assert caller.http.get("/healthz").status_code == 200
            wait_until(lambda: not any(isinstance(one, threading.Timer) for one in threading.enumerate()))
        wait_until(lambda: caller.classify(session, honest.request).status_code == 200)


def test_what_the_database_refuses_is_not_done_again(open_state: Open) -> None:
    tables = open_state("a").tables
    with counted("before_cursor_execute") as executed, pytest.raises(StateUnavailableError):
        tables.run("SELECT * FROM missing")
    assert len(executed) == 1


def test_a_database_that_is_gone_is_looked_for_now_and_then(postgres: str) -> None:
    folder = Path(postgres.rpartition("host=")[2])
    link = folder.with_name(folder.name + "-link")  # of a socket, whose path must be short
    tables = SharedTables(postgres.replace(str(folder), str(link)))
    with counted("do_connect") as tried, ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(tables.run, "SELECT 1") for _ in range(60)]
        assert all(isinstance(one.exception(HANGS_AFTER), StateUnavailableError) for one in asked)
    assert len(tried) < 30
    link.symlink_to(folder)
    try:
        wait_until(lambda: answers(tables))
        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(lambda _: answers(tables), range(12)))
    finally:
        tables.close()
        link.unlink()


@contextmanager
def counted(name: str) -> Iterator[list[str]]:
    """Yield a list that grows with each event of SQLAlchemy."""
    seen: list[str] = []

    def note(*_: object) -> None:
        seen.append(name)

    event.listen(sa.Engine, name, note)
    try:
        yield seen
    finally:
        event.remove(sa.Engine, name, note)


def answers(tables: SharedTables) -> bool:
    try:
        return tables.run("SELECT 1") == [(1,)]
    except StateUnavailableError:
        return False


class Alternating(httpx.BaseTransport):
    """Sends requests to several applications in turn."""

    def __init__(self, apps: list[Any]) -> None:
        self._all = [InProcessTransport(app) for app in apps]
        self._next = itertools.cycle(self._all)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return next(self._next).handle_request(request)

    def close(self) -> None:
        for transport in self._all:
            transport.close()


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_replica_that_is_behind_with_a_new_model_costs_no_answer(
    withdrawn: bool, open_state: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the former model is withdrawn, with its sessions, and one replica serves it still."""
    monkeypatch.setattr("lexveil.pipeline.serving.server.app._LOOK_SECONDS", 0.02)
    random = np.random.default_rng(7)
    heads = [LinearHead(random.normal(size=(64, 3)), random.normal(size=3)) for _ in range(2)]
    bundles = [ServingBundle(tmp_path / f"bundle {name}") for name in "ab"]
    listed = [Listed("m0-1", "2026-01-01T00:00:00.000+00:00", "m0"), Listed("m1-1", tell_time(), "m1")]

    def offer_model(bundle: ServingBundle, number: int) -> None:
        draft = OfferDraft(f"m{number}", ["a", "b", "c"], "sealed", heads[number], {})
        with bundle.add_offer(draft, listed[number].id):
            pass
        bundle.write_listing([listed[number]] if withdrawn else [*reversed(listed[: number + 1])])

    for bundle in bundles:
        offer_model(bundle, 0)
    states = [open_state(name) for name in "ab"]
    limits = ServerLimits(sessions=SessionLimits(per_tenant=1000))
    apps = [create_app(bundle, limits, state=state) for bundle, state in zip(bundles, states, strict=True)]
    key = ApiKeys(states[0].api_keys).issue("court")
    features = random.normal(size=(6, 64)) / 9
    policy = RetryPolicy(first=0.2)
    http = httpx.Client(base_url="http://in-process", transport=Alternating(apps), trust_env=False)
    channel = Channel(http, key, policy)
    expected = [["abc"[place] for place in head.logits(features).argmax(axis=1)] for head in heads]
    answers: list[list[str]] = []

    def serve_the_new_one_at_last() -> None:
        time.sleep(1.0)
        offer_model(bundles[1], 1)

    with EncryptedClassifier(channel, ClientState()) as client:
        client.classify(features)
        offer_model(bundles[0], 1)
        wait_until(lambda: channel.get("/v1/manifest", 1 << 20) != channel.get("/v1/manifest", 1 << 20))
        late = threading.Thread(target=serve_the_new_one_at_last)
        late.start()
        while late.is_alive() or answers[-1] != expected[1]:
            one = client if withdrawn else EncryptedClassifier(channel, ClientState())
            answers.append(one.classify(features).labels)
    assert all(labels in expected for labels in answers)
    if not withdrawn:  # no client uploaded its keys twice
        assert states[0].tables.run("SELECT count(*) FROM sessions") == [(1 + len(answers),)]


def test_clients_behind_a_balancer_notice_no_server_that_is_killed(
    url: str, open_state: Open, tmp_path: Path, head: LinearHead
) -> None:
    """Two homes, as on two machines; requests go to the servers in turn, of which one is killed."""
    bundle = ServingBundle(tmp_path / "bundle")
    with bundle.add_offer(OfferDraft("linear", ["a", "b", "c"], "sealed", head, {}), "linear-1"):
        pass
    bundle.write_listing([Listed("linear-1", tell_time(), "linear")])
    shared = (url, KEY, bundle.folder)
    replicas = [RunningServer(tmp_path / name, {}, {}, shared=shared) for name in ("one", "two")]
    for replica in replicas:
        replica.start()
    issued = ApiKeys(open_state("command").api_keys)
    keys = {tenant: issued.issue(tenant) for tenant in ("court", "firm")}
    features = np.random.default_rng(5).normal(size=(6, 64)) / 9
    expected = ["abc"[place] for place in head.logits(features).argmax(axis=1)]
    answered: list[bool] = []
    stop = threading.Event()

    def work(tenant: str, at: str) -> None:
        policy = RetryPolicy(total=HANGS_AFTER, unanswered=HANGS_AFTER, longest=0.5)
        home = tmp_path / tenant
        with EncryptedClassifier.connect(at, keys[tenant], state=home, retry_policy=policy) as client:
            while not stop.is_set():
                answered.append(client.classify(features).labels == expected)

    try:
        with round_robin([replica.port for replica in replicas]) as balancer, ThreadPoolExecutor(2) as pool:
            clients = [pool.submit(work, tenant, balancer.url) for tenant in keys]
            try:
                wait_until(lambda: len(answered) > 4 or any(client.done() for client in clients))
                replicas[0].end(signal.SIGKILL)
                count = len(answered)
                wait_until(lambda: len(answered) > count + 4 or any(client.done() for client in clients))
            finally:
                stop.set()
            for client in clients:
                client.result()
    finally:
        for replica in replicas:
            if replica.process.poll() is None:
                replica.end(signal.SIGKILL)
    assert all(answered)
    assert balancer.count_uploads() == 2  # one for each client
    assert balancer.lost > 0
    assert set(balancer.used) == {replica.port for replica in replicas}


def test_manifests_are_the_same(calling: Any, open_state: Open, offer: Offer) -> None:
    manifests: set[str] = set()
    for name in "ab":
        state = open_state(name)
        with calling(create_app(offer, state=state), state) as caller:
            told = wire.SignedManifest.model_validate_json(caller.http.get("/v1/manifest").content).verify()
            manifests.add(told.model_copy(update={"issued_at": ""}).model_dump_json())
    assert len(manifests) == 1
