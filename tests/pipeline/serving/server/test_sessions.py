from __future__ import annotations

import asyncio
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lexveil.pipeline.serving.server.errors import StorageFullError
from lexveil.pipeline.serving.server.sessions import (
    SessionLimits,
    SessionNotFoundError,
    Sessions,
    SessionsFullError,
)
from lexveil.pipeline.serving.server.state import ServerState


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def opened(sessions: Sessions, tenant: str = "a", keys: bytes = b"keys", head: str = "head") -> str:
    return asyncio.run(sessions.open(tenant, "block", head, keys))[0]


def test_keys_stand_on_disk_under_a_hash_for_their_owner_alone(tmp_path: Path) -> None:
    state = ServerState(tmp_path / "endpoint")
    session = opened(Sessions(state, SessionLimits()))
    (file,) = state.keys_folder.iterdir()
    assert file.read_bytes() == b"keys"
    for path in (tmp_path / "endpoint").rglob("*"):
        if path.name != "lock":
            assert path.stat().st_mode & 0o077 == 0
        assert session not in path.name
        assert path.is_dir() or session.encode() not in path.read_bytes()


def test_a_session_outlives_the_process(tmp_path: Path) -> None:
    session = opened(Sessions(ServerState(tmp_path / "endpoint"), SessionLimits()))
    again = Sessions(ServerState(tmp_path / "endpoint"), SessionLimits())
    assert again.find(session, "a").keys.read_bytes() == b"keys"


def test_nobody_else_has_it(tmp_path: Path) -> None:
    clock, state = Clock(), ServerState(tmp_path / "endpoint")
    sessions = Sessions(state, SessionLimits(seconds=10), clock)
    session = opened(sessions)
    for name, tenant in ((session, "b"), (session + "x", "a"), ("", "a")):
        with pytest.raises(SessionNotFoundError):
            sessions.find(name, tenant)
    with pytest.raises(SessionNotFoundError):
        sessions.close(session, "b")
    clock.time += 9
    assert sessions.find(session, "a").layout == "block"
    clock.time += 1
    with pytest.raises(SessionNotFoundError):
        sessions.find(session, "a")


def test_closed_expired_and_foreign_keys_are_deleted(tmp_path: Path) -> None:
    clock, state = Clock(), ServerState(tmp_path / "endpoint")
    sessions = Sessions(state, SessionLimits(seconds=10), clock)
    closed, _ = opened(sessions), opened(sessions)
    sessions.close(closed, "a")
    with pytest.raises(SessionNotFoundError):
        sessions.find(closed, "a")
    (state.keys_folder / "orphan.keys").write_bytes(b"of a server that was killed")
    for path in state.keys_folder.iterdir():
        os.utime(path, (0, 0))
    clock.time += 10
    sessions.purge()
    assert not list(state.keys_folder.iterdir())


def test_sessions_end_with_their_head_alone(tmp_path: Path) -> None:
    state = ServerState(tmp_path / "endpoint")
    sessions = Sessions(state, SessionLimits())
    ended, other = opened(sessions), opened(sessions, head="other")
    sessions.close_head_sessions("head")
    with pytest.raises(SessionNotFoundError):
        sessions.find(ended, "a")
    assert sessions.find(other, "a").head == "other"
    assert len(list(state.keys_folder.iterdir())) == 1


def test_caps_by_tenant_and_over_all(tmp_path: Path) -> None:
    limits = SessionLimits(per_tenant=2, tenant_bytes=100, total=3, idle_seconds=60)
    clock = Clock()
    sessions = Sessions(ServerState(tmp_path / "endpoint"), limits, clock)
    first = opened(sessions)
    clock.time += 1
    second = opened(sessions)
    with pytest.raises(SessionsFullError) as caught:
        opened(sessions)
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60
    with pytest.raises(SessionsFullError):
        opened(sessions, "b", bytes(101))
    opened(sessions, "b")
    with pytest.raises(SessionsFullError):
        opened(sessions, "c")
    clock.time += 61
    sessions.find(first, "a")  # in use: it is the second that makes room
    third = opened(sessions)
    assert sessions.find(first, "a")
    assert sessions.find(third, "a")
    with pytest.raises(SessionNotFoundError):
        sessions.find(second, "a")
    assert sessions.usage() == (3, 12)


class TestFullDisk:
    """SQLite refuses to write, as on a full disk; test_full_disk.py has a real one."""

    def test_what_is_open_is_found_and_nothing_is_lost(self, tmp_path: Path) -> None:
        clock, state = Clock(), ServerState(tmp_path / "endpoint")
        sessions = Sessions(state, SessionLimits(per_tenant=1, idle_seconds=1), clock)
        session = opened(sessions)
        clock.time += 2
        state.tables.run("PRAGMA query_only = ON")
        assert sessions.find(session, "a")
        for refused in (lambda: opened(sessions), lambda: sessions.close(session, "a")):
            with pytest.raises(StorageFullError) as caught:
                refused()
            assert caught.value.status == 503
            assert caught.value.retry_after
        assert sessions.find(session, "a").keys.read_bytes() == b"keys"  # not closed for the one that failed
        assert len(list(state.keys_folder.iterdir())) == 1

    def test_expired_keys_are_deleted_all_the_same(self, tmp_path: Path) -> None:
        clock, state = Clock(), ServerState(tmp_path / "endpoint")
        sessions = Sessions(state, SessionLimits(seconds=10), clock)
        opened(sessions)
        for path in state.keys_folder.iterdir():
            os.utime(path, (0, 0))
        clock.time += 10
        state.tables.run("PRAGMA query_only = ON")
        sessions.purge()
        assert not list(state.keys_folder.iterdir())
        state.tables.run("PRAGMA query_only = OFF")
        sessions.purge()
        assert state.tables.run("SELECT count(*) FROM sessions") == [(0,)]


def test_who_asks_while_another_looks_is_not_told_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two balancers that ask at once would take the server out of service."""
    state, together = ServerState(tmp_path / "endpoint"), threading.Barrier(8)
    assert state.can_store(1)
    monkeypatch.setattr(state, "_probed", -math.inf)  # as after a second: it looks again

    def ask(_: int) -> bool:
        together.wait()
        return state.can_store(1)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(8)))
