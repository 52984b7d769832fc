"""A database that keeps somebody waiting: everybody else is served, and nobody waits without end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.postgres import frozen
from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.endpoint import issue_api_key
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.errors import StateUnavailableError
from lexveil.pipeline.serving.server.offers import Listed, Offer, OfferDraft, ServingBundle, tell_time
from lexveil.pipeline.serving.server.quotas import QuotaLimits
from lexveil.pipeline.serving.server.replicas import SharedState
from lexveil.pipeline.serving.server.shared_tables import SharedTables
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.tables import DEADLINE
from lexveil.privacy.he.served_model import LinearHead, ServedModel
from tests.deadlines import HANGS_AFTER, wait_until
from tests.pipeline.serving.conftest import Caller

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def state(url: str, tmp_path: Path) -> Iterator[ServerState]:
    shared = SharedState(url, "ab" * 32, tmp_path / "state")
    yield ServerState(tmp_path / "state", shared)
    shared.close()


@pytest.fixture
def offer(head: LinearHead) -> Offer:
    return Offer(ServedModel(head), ["a", "b", "c"])


@contextmanager
def held(url: str, statement: str) -> Iterator[None]:
    """Keep what a statement locks, as a replica that is frozen in a transaction does."""
    with psycopg.connect(url, options="-c search_path=lexveil_endpoint") as raw:
        raw.execute(statement)
        yield


def count_waiting(url: str) -> int:
    """How many connections wait for a lock."""
    with psycopg.connect(url) as raw:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return raw.execute(query).fetchone()[0]


def test_a_tenant_that_waits_for_its_row_keeps_no_other_waiting(
    calling: Any, state: ServerState, offer: Offer, url: str
) -> None:
    keys = {tenant: {"Authorization": f"Bearer {issue_api_key(state, tenant)}"} for tenant in "abcd"}
    with calling(create_app(offer, state=state), state) as caller, ThreadPoolExecutor(16) as pool:

        def ask(tenant: str) -> int:
            return caller.http.get("/v1/manifest", headers=keys[tenant]).status_code

        assert {ask(tenant) for tenant in keys} == {200}
        waiting: list[Future[int]] = []
        with held(url, "SELECT * FROM quotas WHERE tenant IN ('a', 'c') FOR UPDATE"):
            waiting += [pool.submit(ask, tenant) for tenant in "ac" * 7]
            wait_until(lambda: count_waiting(url) == 2)
            assert [ask(tenant) for tenant in "bdbd"] == [200] * 4
            assert not any(one.done() for one in waiting)
        assert {one.result(HANGS_AFTER) for one in waiting} == {200}


def test_a_request_that_is_given_up_while_its_row_is_locked_is_not_counted(
    state: ServerState, offer: Offer, url: str
) -> None:
    key = {"Authorization": f"Bearer {issue_api_key(state, 'a')}"}
    app = create_app(offer, ServerLimits(quotas=QuotaLimits(requests_at_once=1)), state=state)

    async def ask() -> list[int]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(base_url="http://t", transport=httpx.ASGITransport(app), headers=key) as http,
        ):
            found = [(await http.get("/v1/manifest")).status_code]
            with held(url, "SELECT * FROM quotas WHERE tenant = 'a' FOR UPDATE"):
                given_up = asyncio.create_task(http.get("/v1/manifest"))
                await asyncio.to_thread(wait_until, lambda: count_waiting(url) == 1)
                given_up.cancel()
                await asyncio.wait([given_up])
            await asyncio.to_thread(wait_until, lambda: count_waiting(url) == 0)
            until = time.monotonic() + HANGS_AFTER  # its thread has the answer of the database a little later
            while (code := (await http.get("/v1/manifest")).status_code) != 200 and time.monotonic() < until:
                await asyncio.sleep(0.05)
            return [*found, code]

    assert asyncio.run(ask()) == [200, 200]


def test_a_connection_that_opens_too_late_changes_nothing(
    state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = psycopg.connect

    def connect_late(*given: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return connect(*given, **named)

    query, tables = "INSERT INTO key_use VALUES (?, 1)", state.tables
    assert isinstance(tables, SharedTables)
    monkeypatch.setattr(psycopg, "connect", connect_late)
    for change in (
        lambda: tables.run(query, "one"),
        lambda: tables.transact(lambda run: run(query, "two")),
    ):
        tables.close()
        until = DEADLINE.set(time.monotonic() + 0.1)
        with pytest.raises(StateUnavailableError):
            change()
        DEADLINE.reset(until)
    assert tables.run("SELECT * FROM key_use") == []


def test_uploads_take_no_more_connections_than_are_theirs(
    calling: Any, state: ServerState, offer: Offer, honest: Any, url: str
) -> None:
    tenants = [f"t{number}" for number in range(7)]
    keys = {tenant: {"Authorization": f"Bearer {issue_api_key(state, tenant)}"} for tenant in tenants}
    body = wire.bundle([honest.evaluation])
    with calling(create_app(offer, state=state), state) as caller, ThreadPoolExecutor(8) as pool:

        def upload(tenant: str) -> int:
            return caller.post("/v1/sessions", body, **keys[tenant]).status_code

        session = caller.open(honest.evaluation, **keys["t0"])
        assert caller.classify(session, honest.request, **keys["t0"]).status_code == 200
        with held(url, "LOCK TABLE evaluation_keys IN ACCESS EXCLUSIVE MODE"):
            uploads = [pool.submit(upload, tenant) for tenant in tenants[1:]]
            wait_until(lambda: count_waiting(url) >= 2)
            for _ in range(3):
                assert caller.classify(session, honest.request, **keys["t0"]).status_code == 200
            assert count_waiting(url) == 2
        assert {one.result(HANGS_AFTER) for one in uploads} == {201}


def test_models_change_while_the_log_cannot_be_written(
    calling: Any, state: ServerState, head: LinearHead, url: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """An erased model must go, whatever holds the log up; what is served is recorded later."""
    monkeypatch.setattr("lexveil.pipeline.serving.server.app._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("lexveil.pipeline.serving.server.state._THREAD_SECONDS", 0.3)
    bundle = ServingBundle(tmp_path / "bundle")

    def offer_model(name: str) -> None:
        with bundle.add_offer(OfferDraft(name, ["a", "b", "c"], "sealed", head, {}), name):
            pass
        bundle.write_listing([Listed(name, tell_time(), name)])

    def served(caller: Caller) -> str:
        told = caller.http.get("/v1/manifest")
        return wire.SignedManifest.model_validate_json(told.content).verify().model if told.is_success else ""

    offer_model("one")
    with calling(create_app(bundle, state=state), state) as caller:
        wait_until(lambda: served(caller) == "one")
        with held(url, "LOCK TABLE log IN ACCESS EXCLUSIVE MODE"):
            for name in ("two", "three"):
                offer_model(name)
                wait_until(lambda name=name: served(caller) == name)
        wait_until(lambda: state.log.read()[-1].facts.get("model") == "three")
    assert state.log.verify().intact


@pytest.mark.parametrize("writes", [False, True])
def test_a_frozen_database_is_told_to_whoever_uses_the_log(
    writes: bool, state: ServerState, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexveil.pipeline.serving.server.shared_tables._MOST_SECONDS", 0.3)
    state.log.append("serve", "done", {})
    with ThreadPoolExecutor(1) as pool, frozen(url):
        asked = pool.submit(state.log.append, "serve", "done", {}) if writes else pool.submit(state.log.read)
        with pytest.raises(EndpointError, match="log"):
            asked.result(HANGS_AFTER)
    wait_until(lambda: can_read(state))
    assert state.log.verify().intact


def can_read(state: ServerState) -> bool:
    try:
        return bool(state.log.read())
    except EndpointError:
        return False
