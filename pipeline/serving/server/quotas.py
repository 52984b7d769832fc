"""Quotas: what each tenant may use, over all replicas of an endpoint.

What a tenant has used is one record. Without replicas it is in memory, and the slots of the day are in the
endpoint's folder as well, so that they outlive a restart. Replicas have it in their database, where one of
them changes it at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar

from lexveil.pipeline.serving.server.errors import RefusalError, StorageFullError
from lexveil.pipeline.serving.server.tables import StateTables, hold_in_time

T = TypeVar("T")
Kind = Literal["slots", "cpu", "bytes"]

_STRIKES, _STRIKE_SECONDS = 5, 600.0
_REQUEST_SECONDS = 0.002  # CPU time of the server's own process for a request
# The requests of a replica that has not renewed them for so long have ended with it.
_LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0


class QuotaExceededError(RefusalError):
    """The request exceeds a quota of its tenant."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(429, "quota", message, retry_after)


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """Quotas of one tenant.

    Attributes:
        slots_per_minute: document slots per minute, filled or not.
        slots_per_day: document slots per day, UTC.
        requests_at_once: concurrent requests.
        cpu_seconds_per_minute: CPU time of its evaluations, key checks and refused requests per minute.
        bytes_per_minute: bytes of its bodies and downloads per minute, refused ones included.
        weight: its share of the workers, relative to those of the other tenants that wait.
        leakage: total variation that its answers of a sealed head may add up to: see
            `lexveil.pipeline.serving.server.leakage`.
    """

    slots_per_minute: int = 200_000
    slots_per_day: int = 2_000_000
    requests_at_once: int = 16
    cpu_seconds_per_minute: float = math.inf
    bytes_per_minute: int = 2 << 30
    weight: float = 1.0
    leakage: float = 0.25


@dataclass(slots=True)
class Usage:
    """What a tenant has used.

    Attributes:
        buckets: use of each quota per minute, and since when. It flows off with time.
        day: the day, UTC, of `slots_today`.
        slots_today: document slots that were used on that day.
        at_once: concurrent requests of each replica, and when it last said so.
        strikes: the last times when a request crashed two workers.
    """

    buckets: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    day: str = ""
    slots_today: int = 0
    at_once: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    strikes: list[float] = field(default_factory=list[float])

    def copy(self) -> Usage:
        """Return a copy that shares nothing with this one."""
        return Usage(dict(self.buckets), self.day, self.slots_today, dict(self.at_once), list(self.strikes))

    def to_json(self) -> str:
        """Return the record that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Usage:
        """Read a record, also of an earlier or later version; what it lacks is nothing used."""
        record: dict[str, Any] = json.loads(text)
        usage = cls(**{name: record[name] for name in cls.__slots__ if name in record})
        usage.buckets = {kind: (used, since) for kind, (used, since) in usage.buckets.items()}
        usage.at_once = {server: (count, at) for server, (count, at) in usage.at_once.items()}
        return usage


class Usages(Protocol):
    """Storage of the records."""

    def read(self, tenant: str) -> Usage:
        """Return a tenant's record.

        Raises:
            RefusalError: the storage does not answer.
        """
        ...

    def change(self, tenant: str, work: Callable[[Usage], T]) -> T:
        """Let `work` change a tenant's record, which nobody else changes meanwhile.

        If it raises an error, nothing is changed. It may be run again after a lost connection.

        Raises:
            RefusalError: the storage does not answer.
        """
        ...


class LocalUsages:
    """The records of the one server of a folder.

    What a full disk keeps from the folder is counted in memory until it can be written.
    """

    def __init__(self, tables: StateTables) -> None:
        self._tables = tables
        self._usages: dict[str, Usage] = {}
        self._unwritten: set[str] = set()

    def read(self, tenant: str) -> Usage:
        """Return a tenant's record."""
        if tenant not in self._usages:
            query = "SELECT day, slots FROM usage WHERE tenant = ? ORDER BY day DESC LIMIT 1"
            for day, slots in self._tables.run(query, tenant) or [("", 0)]:
                self._usages[tenant] = Usage(day=day, slots_today=slots)
        return self._usages[tenant]

    def change(self, tenant: str, work: Callable[[Usage], T]) -> T:
        """Let `work` change a tenant's record."""
        before = self.read(tenant)
        usage = before.copy()
        done = work(usage)
        self._usages[tenant] = usage
        if (usage.day, usage.slots_today) != (before.day, before.slots_today):
            self._unwritten.add(tenant)
        if tenant in self._unwritten:
            self._write(tenant, usage)
        return done

    def _write(self, tenant: str, usage: Usage) -> None:
        with contextlib.suppress(StorageFullError):
            self._tables.run(
                "INSERT INTO usage VALUES (?, ?, ?) "
                "ON CONFLICT (tenant, day) DO UPDATE SET slots = excluded.slots",
                tenant,
                usage.day,
                usage.slots_today,
            )
            self._unwritten.discard(tenant)


@dataclass(eq=False, slots=True)
class Admission:
    """One request. It is counted from its `begin` to its `release`, whichever comes first.

    A caller may give up while its `begin` waits for the database, which goes on in a thread.

    Attributes:
        is_counted: the request is counted now.
        is_over: it will not be counted any more.
    """

    is_counted: bool = False
    is_over: bool = False


class Quotas:
    """Charges tenants for what they use. Any thread may call it.

    Args:
        usages: where the records are.
        limits: the quotas.
        tenants: quotas of tenants that have their own.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self,
        usages: Usages,
        limits: QuotaLimits,
        tenants: Mapping[str, QuotaLimits] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._usages = usages
        self._limits = limits
        self._tenants = tenants or {}
        self._largest = self._longest = 0
        self._now = now
        self._server = secrets.token_hex(8)
        self._at_once: Counter[str] = Counter()  # of this server
        self._cpu: defaultdict[str, float] = defaultdict(float)  # seconds that are not charged yet
        self._own_lock = threading.Lock()  # of the two above, never held for long
        self._locks: dict[str, threading.Lock] = {}  # of tenants

    def hold(self, largest: int, longest: int) -> None:
        """Let buckets hold a request of so many slots, and a body or file of so many bytes, too."""
        self._largest, self._longest = max(self._largest, largest), max(self._longest, longest)

    def get_limits(self, tenant: str) -> QuotaLimits:
        """Return the quotas of a tenant."""
        return self._tenants.get(tenant, self._limits)

    @contextlib.contextmanager
    def admit_request(self, tenant: str) -> Generator[None, None, None]:
        """Count a request while it is served: `begin` and `end`."""
        request = Admission()
        self.begin(tenant, request)
        try:
            yield
        finally:
            self.end(tenant, request)

    def begin(self, tenant: str, request: Admission) -> None:
        """Count a request that begins. One that is refused costs CPU time like another.

        Raises:
            QuotaExceededError: the tenant has too many concurrent requests, has used up its CPU time, or its
                requests crashed too many workers.
        """

        def admit(usage: Usage) -> QuotaExceededError | None:
            refusal = self._refuse(tenant, usage)
            if refusal is None:
                usage.at_once[self._server] = (self._at_once[tenant] + 1, self._now())
            # The debt of refused ones has a limit: who stops asking is served again after a minute.
            if refusal is None or self._used(tenant, usage, "cpu") < 2 * self._capacity(tenant, "cpu"):
                self._take(tenant, usage, "cpu", _REQUEST_SECONDS)
            return refusal

        with self._hold(tenant):
            refusal = self._change(tenant, admit)
            if refusal is None:
                self._count(tenant, request)
        if refusal is not None:
            raise refusal

    def end(self, tenant: str, request: Admission) -> None:
        """Stop counting a request, and tell the other replicas."""
        if self.release(tenant, request):
            self.tell(tenant)

    def release(self, tenant: str, request: Admission) -> bool:
        """Stop counting a request, for good; return True if it was counted.

        This waits for nothing; the tenant's next change informs the other replicas.
        """
        with self._own_lock:
            was_counted = request.is_counted
            self._at_once[tenant] -= was_counted
            request.is_counted, request.is_over = False, True
        return was_counted

    def tell(self, tenant: str) -> None:
        """Tell the other replicas how many requests of a tenant are in progress here.

        If the database does not answer, the next change informs them.
        """
        with contextlib.suppress(RefusalError), self._hold(tenant):
            self._change(tenant, lambda _: None)

    def list_active(self) -> list[str]:
        """Return the tenants whose requests are in progress here: those to renew every `RENEW_SECONDS`."""
        with self._own_lock:
            return [tenant for tenant, count in self._at_once.items() if count]

    def add_strike(self, tenant: str) -> None:
        """Record that the tenant sent a request that crashed two workers."""

        def add(usage: Usage) -> None:
            usage.strikes = [*usage.strikes[-_STRIKES:], self._now()]

        with self._hold(tenant):
            self._change(tenant, add)

    def charge(self, tenant: str, slots: int) -> None:
        """Charge slots to the quotas of a minute and of a day.

        Raises:
            QuotaExceededError: one of them has too few slots left. Nothing is charged.
        """

        def take(usage: Usage) -> None:
            if wait := self._wait_for(tenant, usage, "slots", slots):
                raise QuotaExceededError("the quota of document slots per minute is used up", wait)
            if usage.slots_today + slots > self.get_limits(tenant).slots_per_day:
                wait = 86_400 - int(self._now()) % 86_400
                raise QuotaExceededError("the quota of document slots per day is used up", wait)
            self._take(tenant, usage, "slots", slots)
            usage.slots_today += slots

        with self._hold(tenant):
            self._change(tenant, take)

    def refund(self, tenant: str, slots: int) -> None:
        """Return slots that were charged for a request that the server did not answer."""

        def take_back(usage: Usage) -> None:
            self._take(tenant, usage, "slots", -slots)
            usage.slots_today = max(0, usage.slots_today - slots)  # midnight may have passed

        with contextlib.suppress(RefusalError), self._hold(tenant):
            self._change(tenant, take_back)

    def charge_cpu(self, tenant: str, seconds: float) -> None:
        """Charge CPU time that was used, whatever is left. The tenant's next change writes it."""
        with self._own_lock:
            self._cpu[tenant] += seconds

    def charge_bytes(self, tenant: str, count: int) -> None:
        """Charge the bytes of a body before it is read, or of a file before it is sent.

        Raises:
            QuotaExceededError: too few are left. Nothing is charged.
        """

        def take(usage: Usage) -> None:
            if wait := self._wait_for(tenant, usage, "bytes", count):
                raise QuotaExceededError("the quota of bytes per minute is used up", wait)
            self._take(tenant, usage, "bytes", count)

        with self._hold(tenant):
            self._change(tenant, take)

    def count_used_today(self, tenant: str) -> int:
        """Return the slots that a tenant has used since midnight, UTC."""
        usage = self._usages.read(tenant)
        return usage.slots_today if usage.day == self._today() else 0

    def _hold(self, tenant: str) -> contextlib.AbstractContextManager[None]:
        """Hold the lock under which this server changes what a tenant has used."""
        return hold_in_time(self._locks.setdefault(tenant, threading.Lock()))

    def _count(self, tenant: str, request: Admission) -> None:
        with self._own_lock:
            if not request.is_over:
                self._at_once[tenant] += 1
                request.is_counted = True

    def _change(self, tenant: str, work: Callable[[Usage], T]) -> T:
        """Change a record, after what this server has to add to it. The caller holds the tenant's lock."""
        with self._own_lock:
            seconds = self._cpu[tenant]

        def add_own(usage: Usage) -> T:
            now = self._now()
            _forget_future(usage, now)
            if usage.day != self._today():
                usage.day, usage.slots_today = self._today(), 0
            usage.at_once = {
                server: (count, at)
                for server, (count, at) in usage.at_once.items()
                if at > now - _LEASE_SECONDS and server != self._server
            }
            if self._at_once[tenant]:
                usage.at_once[self._server] = (self._at_once[tenant], now)
            self._take(tenant, usage, "cpu", seconds)
            return work(usage)

        done = self._usages.change(tenant, add_own)
        with self._own_lock:
            self._cpu[tenant] -= seconds
        return done

    def _refuse(self, tenant: str, usage: Usage) -> QuotaExceededError | None:
        if sum(count for count, _ in usage.at_once.values()) >= self.get_limits(tenant).requests_at_once:
            return QuotaExceededError("too many requests at a time", 1)
        strikes, now = usage.strikes, self._now()
        if len(strikes) >= _STRIKES and strikes[-_STRIKES] > now - _STRIKE_SECONDS:
            wait = math.ceil(strikes[-_STRIKES] + _STRIKE_SECONDS - now)
            return QuotaExceededError("too many requests that ended a worker", wait)
        # What a request will cost is not known: it is admitted while there is some, and may leave a debt.
        if wait := self._wait_for(tenant, usage, "cpu", _REQUEST_SECONDS):
            return QuotaExceededError("the quota of CPU time a minute is used up", wait)
        return None

    def _per_minute(self, tenant: str, kind: Kind) -> float:
        limits = self.get_limits(tenant)
        match kind:
            case "slots":
                return limits.slots_per_minute
            case "cpu":
                return limits.cpu_seconds_per_minute
            case "bytes":
                return limits.bytes_per_minute

    def _capacity(self, tenant: str, kind: Kind) -> float:
        # It holds the largest request; otherwise nobody could ever send it.
        least = {"slots": self._largest, "cpu": 0, "bytes": self._longest}[kind]
        return max(self._per_minute(tenant, kind), least)

    def _used(self, tenant: str, usage: Usage, kind: Kind) -> float:
        used, since = usage.buckets.get(kind, (0.0, self._now()))
        per_minute = self._per_minute(tenant, kind)
        if math.isinf(per_minute):
            return 0.0
        return max(0.0, used - max(0.0, self._now() - since) * per_minute / 60)

    def _wait_for(self, tenant: str, usage: Usage, kind: Kind, amount: float) -> int | None:
        """Return the seconds until there is so much; None if there is."""
        missing = self._used(tenant, usage, kind) + amount - self._capacity(tenant, kind)
        return None if missing <= 0 else max(1, math.ceil(missing / self._per_minute(tenant, kind) * 60))

    def _take(self, tenant: str, usage: Usage, kind: Kind, amount: float) -> None:
        """Use so much, even if there is less."""
        _, since = usage.buckets.get(kind, (0.0, 0.0))
        # Clocks of replicas differ: what flowed off by the fastest does not flow off again.
        usage.buckets[kind] = (self._used(tenant, usage, kind) + amount, max(since, self._now()))

    def _today(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).date().isoformat()


def _forget_future(usage: Usage, now: float) -> None:
    """Correct what is dated later than clocks may differ: one that was wrong must not lock a tenant out."""
    latest = now + _LEASE_SECONDS
    usage.buckets = {
        kind: (used, since if since <= latest else now) for kind, (used, since) in usage.buckets.items()
    }
    usage.at_once = {server: one for server, one in usage.at_once.items() if one[1] <= latest}
    usage.strikes = [moment for moment in usage.strikes if moment <= latest]
