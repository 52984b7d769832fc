from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.access import LOCAL, Access, ApiKeys, KeyUses
from lexveil.pipeline.serving.server.errors import UnauthorizedError
from lexveil.pipeline.serving.server.files import TABLES, KeyFile
from lexveil.pipeline.serving.server.quotas import Admission, QuotaExceededError, QuotaLimits, Quotas
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.tables import SqliteTables

TOKEN = "lxv_local_token"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


class TestApiKeys:
    def test_a_key_tells_its_tenant_until_it_is_revoked(self, tmp_path: Path) -> None:
        issued, running = (
            ApiKeys(KeyFile(tmp_path)),
            ApiKeys(KeyFile(tmp_path)),
        )  # the command, and the server
        first, second = issued.issue("court"), issued.issue("firm")
        assert [running.identify(key) for key in (first, second)] == ["court", "firm"]
        issued.revoke(first.split("_")[1])
        with pytest.raises(UnauthorizedError):
            running.identify(first)
        assert running.identify(second) == "firm"

    def test_the_file_is_private_and_holds_no_key(self, tmp_path: Path) -> None:
        secret = ApiKeys(KeyFile(tmp_path)).issue("court").split("_", 2)[2]
        path = tmp_path / "api-keys.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert secret not in path.read_text()

    def test_what_is_no_key(self, tmp_path: Path) -> None:
        keys = ApiKeys(KeyFile(tmp_path))
        key = keys.issue("court")
        wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
        for text in ("", "lxv_", wrong, key + "x", key.upper(), "lxv_000000000000_" + key.split("_", 2)[2]):
            with pytest.raises(UnauthorizedError):
                keys.identify(text)

    @pytest.mark.parametrize("tenant", ["", "local", "a b", "x" * 65, "ünï", "a\nb"])
    def test_what_is_no_tenant(self, tmp_path: Path, tenant: str) -> None:
        with pytest.raises(EndpointError):
            ApiKeys(KeyFile(tmp_path)).issue(tenant)

    def test_keys_that_are_issued_and_revoked_at_once_are_not_lost(self, tmp_path: Path) -> None:
        revoked = [ApiKeys(KeyFile(tmp_path)).issue("gone") for _ in range(8)]

        def change(number: int) -> str:
            ApiKeys(KeyFile(tmp_path)).revoke(revoked[number].split("_")[1])
            return ApiKeys(KeyFile(tmp_path)).issue(f"court-{number}")

        with ThreadPoolExecutor(8) as pool:
            issued = list(pool.map(change, range(8)))
        keys = ApiKeys(KeyFile(tmp_path))
        assert [keys.identify(key) for key in issued] == [f"court-{number}" for number in range(8)]
        assert {record.tenant for record in keys.list()} == {f"court-{number}" for number in range(8)}

    def test_a_key_expires(self, tmp_path: Path) -> None:
        now = [1e9]
        keys = ApiKeys(KeyFile(tmp_path), now=lambda: now[0])
        key, lasting = keys.issue("court", days=2), keys.issue("firm")
        now[0] += 2 * 86_400 - 1
        assert keys.identify(key) == "court"
        now[0] += 1
        with pytest.raises(UnauthorizedError):
            keys.identify(key)
        assert keys.identify(lasting) == "firm"
        assert [record.expires for record in keys.list()] == ["2001-09-11T01:46:40+00:00", None]

    def test_a_file_of_an_earlier_version_is_read(self, tmp_path: Path) -> None:
        key = ApiKeys(KeyFile(tmp_path)).issue("court")
        path = tmp_path / "api-keys.json"
        (record,) = json.loads(path.read_text()).values()
        assert set(record) == {"tenant", "salt", "hash", "issued"}
        assert ApiKeys(KeyFile(tmp_path)).identify(key) == "court"

    def test_the_last_use_is_noted_once_a_minute(self, tmp_path: Path) -> None:
        now, state = [1e9], ServerState(tmp_path / "endpoint")
        uses = KeyUses(state.tables, lambda: now[0])
        keys = ApiKeys(state.api_keys, uses.note)
        key, unused = keys.issue("court"), keys.issue("court")
        found: list[str | None] = []
        for seconds in (0, 59, 1):
            now[0] += seconds
            assert keys.identify(key) == "court"
            found.append(uses.find(key.split("_")[1]))
        assert found == [
            "2001-09-09T01:46:40+00:00",
            "2001-09-09T01:46:40+00:00",
            "2001-09-09T01:47:40+00:00",
        ]
        assert uses.find(unused.split("_")[1]) is None
        listed = KeyUses(SqliteTables.read(state.folder / TABLES))  # while the server runs
        assert listed.find(key.split("_")[1]) == found[-1]

    def test_a_file_that_goes_missing_lets_nobody_in(self, tmp_path: Path) -> None:
        access, keys = Access(ApiKeys(KeyFile(tmp_path)), TOKEN), ApiKeys(KeyFile(tmp_path))
        key = keys.issue("court")
        assert access.identify_tenant(bearer(key)) == "court"
        (tmp_path / "api-keys.json").unlink()
        with pytest.raises(UnauthorizedError):
            access.identify_tenant(bearer(TOKEN))


class TestAccess:
    def test_without_keys_only_the_local_token_is_served(self, tmp_path: Path) -> None:
        access = Access(ApiKeys(KeyFile(tmp_path)), TOKEN)
        assert access.identify_tenant(bearer(TOKEN)) == LOCAL
        for headers in ({}, bearer(TOKEN + "x"), bearer(""), bearer("ünï"), {"authorization": TOKEN}):
            with pytest.raises(UnauthorizedError):
                access.identify_tenant(headers)

    def test_with_keys_this_machine_needs_one_too(self, tmp_path: Path) -> None:
        key = ApiKeys(KeyFile(tmp_path)).issue("court")
        access = Access(ApiKeys(KeyFile(tmp_path)), TOKEN)
        assert access.identify_tenant(bearer(key)) == "court"
        for headers in ({}, bearer(TOKEN), {"authorization": key}, {"authorization": f"Basic {key}"}):
            with pytest.raises(UnauthorizedError):
                access.identify_tenant(headers)

    def test_metrics_are_for_the_servers_user_and_the_operator(self, tmp_path: Path) -> None:
        keys = ApiKeys(KeyFile(tmp_path))
        operator, other = bearer(keys.issue("operator")), bearer(keys.issue("court"))
        access = Access(keys, TOKEN)
        assert access.may_read_metrics(bearer(TOKEN))
        assert access.may_read_metrics(operator)
        assert not access.may_read_metrics(other)
        assert not access.may_read_metrics({})


class TestQuotas:
    def test_slots_a_minute_come_back_with_time(self) -> None:
        state, now = ServerState.create_temporary(), [0.0]
        quotas = Quotas(state.usages, QuotaLimits(slots_per_minute=60), now=lambda: now[0])
        quotas.charge("a", 50)
        with pytest.raises(QuotaExceededError) as caught:
            quotas.charge("a", 20)
        assert caught.value.retry_after == 10
        quotas.charge("b", 60)
        now[0] += 10
        quotas.charge("a", 20)

    def test_slots_a_day_outlive_a_restart_and_end_at_midnight(self, tmp_path: Path) -> None:
        now, limits = [86_400.0 - 100], QuotaLimits(slots_per_day=100)
        Quotas(ServerState(tmp_path / "endpoint").usages, limits, now=lambda: now[0]).charge("a", 90)
        quotas = Quotas(ServerState(tmp_path / "endpoint").usages, limits, now=lambda: now[0])
        with pytest.raises(QuotaExceededError) as caught:
            quotas.charge("a", 20)
        assert caught.value.retry_after == 100
        quotas.refund("a", 10)
        quotas.charge("a", 20)
        now[0] += 100
        quotas.charge("a", 100)

    def test_what_is_returned_after_midnight_is_no_credit_of_the_new_day(self) -> None:
        now, limits = [86_400.0 - 1], QuotaLimits(slots_per_day=100)
        quotas = Quotas(ServerState.create_temporary().usages, limits, now=lambda: now[0])
        quotas.charge("a", 90)
        now[0] += 2
        quotas.refund("a", 90)
        with pytest.raises(QuotaExceededError):
            quotas.charge("a", 101)

    def test_a_clock_that_was_wrong_locks_no_tenant_out(self) -> None:
        """It jumped ahead by a year and back: until then, nothing would have flowed off."""
        state, now = ServerState.create_temporary(), [1e9 + 3e7]
        limits = QuotaLimits(slots_per_minute=60, cpu_seconds_per_minute=6, requests_at_once=1)
        ahead, later = (Quotas(state.usages, limits, now=lambda: now[0]) for _ in range(2))
        ahead.begin("a", Admission())  # that server ends with its request
        ahead.charge("a", 60)
        ahead.charge_bytes("a", 1)
        ahead.charge_cpu("a", 6)
        for _ in range(5):
            ahead.add_strike("a")
        now[0] = 1e9
        later.tell("a")
        for _ in range(2):
            now[0] += 61
            with later.admit_request("a"):
                later.charge("a", 60)

    def test_a_full_disk_forgets_no_slot(self, tmp_path: Path) -> None:
        state, limits = ServerState(tmp_path / "endpoint"), QuotaLimits(slots_per_day=100)
        quotas = Quotas(state.usages, limits)
        state.tables.run("PRAGMA query_only = ON")
        quotas.charge("a", 60)
        with pytest.raises(QuotaExceededError):
            quotas.charge("a", 60)
        state.tables.run("PRAGMA query_only = OFF")
        quotas.charge("a", 10)
        assert Quotas(ServerState(tmp_path / "endpoint").usages, limits).count_used_today("a") == 70

    def test_the_largest_request_always_fits_a_minute(self) -> None:
        quotas = Quotas(ServerState.create_temporary().usages, QuotaLimits(slots_per_minute=60))
        quotas.hold(8192, 0)
        quotas.charge("a", 8192)

    def test_cpu_time_is_admitted_while_there_is_some_and_may_leave_a_debt(self) -> None:
        now, limits = [1e9], QuotaLimits(cpu_seconds_per_minute=6)
        quotas = Quotas(ServerState.create_temporary().usages, limits, now=lambda: now[0])
        with quotas.admit_request("a"):
            quotas.charge_cpu("a", 9)
        with pytest.raises(QuotaExceededError) as caught, quotas.admit_request("a"):
            pass
        assert caught.value.retry_after == 31  # of 0.1 seconds each
        with quotas.admit_request("b"):
            pass
        now[0] += 31
        with quotas.admit_request("a"):
            pass

    def test_who_does_not_stop_asking_stays_out_for_a_minute_at_most(self) -> None:
        now, limits = [1e9], QuotaLimits(cpu_seconds_per_minute=0.06)
        quotas = Quotas(ServerState.create_temporary().usages, limits, now=lambda: now[0])
        waits: list[int] = []
        for _ in range(100):
            try:
                with quotas.admit_request("a"):
                    pass
            except QuotaExceededError as refusal:
                waits.append(refusal.retry_after or 0)
        assert waits[0] < 5 < 60 <= max(waits) <= 65
        now[0] += max(waits)
        quotas.begin("a", Admission())

    def test_bytes_are_charged_and_the_largest_body_always_fits(self) -> None:
        now, limits = [0.0], QuotaLimits(bytes_per_minute=60)
        quotas = Quotas(ServerState.create_temporary().usages, limits, now=lambda: now[0])
        quotas.hold(1, 100)
        quotas.charge_bytes("a", 100)
        with pytest.raises(QuotaExceededError) as caught:
            quotas.charge_bytes("a", 10)
        assert caught.value.retry_after == 10
        quotas.charge_bytes("b", 10)
        now[0] += 10
        quotas.charge_bytes("a", 10)

    def test_a_tenant_may_have_its_own(self) -> None:
        own = {"a": QuotaLimits(slots_per_day=5, requests_at_once=1, weight=3.0)}
        quotas = Quotas(ServerState.create_temporary().usages, QuotaLimits(), tenants=own)
        quotas.charge("b", 6)
        with pytest.raises(QuotaExceededError):
            quotas.charge("a", 6)
        assert (quotas.get_limits("a").weight, quotas.get_limits("b").weight) == (3.0, 1.0)

    def test_requests_at_a_time(self) -> None:
        quotas = Quotas(ServerState.create_temporary().usages, QuotaLimits(requests_at_once=1))
        with (
            quotas.admit_request("a"),
            quotas.admit_request("b"),
            pytest.raises(QuotaExceededError),
            quotas.admit_request("a"),
        ):
            pass
        with quotas.admit_request("a"):
            pass

    def test_who_ends_workers_again_and_again_is_kept_out_for_a_while(self) -> None:
        now = [1e9]
        quotas = Quotas(ServerState.create_temporary().usages, QuotaLimits(), now=lambda: now[0])
        for _ in range(5):
            with quotas.admit_request("a"):
                quotas.add_strike("a")
        with pytest.raises(QuotaExceededError) as caught, quotas.admit_request("a"):
            pass
        assert caught.value.retry_after == 600
        with quotas.admit_request("b"):
            pass
        now[0] += 601
        with quotas.admit_request("a"):
            pass
