"""Turns: whose request is evaluated next. Tenants share the workers by CPU time, whatever they send.

Weighted fair queueing with measured costs: each tenant has a clock that runs by the CPU seconds of its
evaluations, divided by its weight, and the waiting tenant whose clock is behind goes next. A tenant that
comes back after a pause starts at the present, so that nobody saves up turns. Costs are known only
afterwards, so a turn first costs what the tenant's turns have cost so far, and is corrected at its end.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, TypeVar

_FIRST_ESTIMATE = 0.1  # seconds
_SMOOTHING = 0.2

Waiter = TypeVar("Waiter")


class Turns(Generic[Waiter]):
    """The waiting requests of all tenants.

    Args:
        weigh: returns the weight of a tenant.
    """

    def __init__(self, weigh: Callable[[str], float]) -> None:
        self._weigh = weigh
        self._waiting: dict[str, deque[Waiter]] = {}
        self._at_work: Counter[str] = Counter()
        self._clocks: dict[str, float] = {}
        self._estimates: dict[str, float] = {}
        self._present = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, tenant: str, waiter: Waiter, *, first: bool = False) -> None:
        """Add a waiting request; `first`: before all others of its tenant."""
        if tenant not in self._waiting and not self._at_work[tenant]:
            self._clocks[tenant] = max(self._clocks.get(tenant, 0.0), self._present)
        queue = self._waiting.setdefault(tenant, deque())
        (queue.appendleft if first else queue.append)(waiter)

    def remove(self, tenant: str, waiter: Waiter) -> None:
        """Remove a waiting request, if it still waits."""
        queue = self._waiting.get(tenant, deque[Waiter]())
        if waiter in queue:
            queue.remove(waiter)
            self._forget_empty(tenant)

    def take(self, *, idle_tenants: bool = False) -> Waiter | None:
        """Return the request whose turn it is; None if none waits.

        Args:
            idle_tenants: only requests of tenants that have none in progress.
        """
        tenants = [tenant for tenant in self._waiting if not (idle_tenants and self._at_work[tenant])]
        if not tenants:
            return None
        tenant = min(tenants, key=self._clocks.__getitem__)
        waiter = self._waiting[tenant].popleft()
        self._forget_empty(tenant)
        self._present = max(self._present, self._clocks[tenant])
        self._at_work[tenant] += 1
        self._advance(tenant, self._estimates.get(tenant, _FIRST_ESTIMATE))
        return waiter

    def finish(self, tenant: str, seconds: float) -> None:
        """End a turn, which took `seconds` of CPU time."""
        self._at_work[tenant] -= 1
        estimate = self._estimates.get(tenant, _FIRST_ESTIMATE)
        self._advance(tenant, seconds - estimate)
        self._estimates[tenant] = estimate + _SMOOTHING * (seconds - estimate)

    def find_longest(self) -> tuple[str, list[Waiter]]:
        """Return the tenant with the most waiting requests, and these, the next one first."""
        tenant = max(self._waiting, key=lambda name: len(self._waiting[name]))
        return tenant, list(self._waiting[tenant])

    def count(self, tenant: str) -> int:
        """Return the number of a tenant's waiting requests."""
        return len(self._waiting.get(tenant, ()))

    def _advance(self, tenant: str, seconds: float) -> None:
        self._clocks[tenant] += seconds / self._weigh(tenant)

    def _forget_empty(self, tenant: str) -> None:
        if not self._waiting[tenant]:
            del self._waiting[tenant]
