"""The leakage ledger: what sealed replies have revealed to each tenant about each head, against a limit.

A sealed reply differs from one that holds only the logits by a stated divergence, which adds up over answers
(`lexveil.privacy.he.flooding`). The ledger adds it up for each tenant and head, and refuses answers beyond
the limit. It counts tenants separately: tenants who collude can add up what they have learned.

What is spent is written ahead, in steps of a hundredth of the limit. So open sessions are answered for a
while on a full disk, and a server that was killed counts more than it answered, never less. A server that
ends returns the rest. Each replica writes its own steps, which together stay within the limit; they are far
smaller, because replicas come and go, and a database is not a disk that fills up.
"""

from __future__ import annotations

import threading

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.tables import StateTables, hold_in_time
from lexveil.privacy.he.flooding import total_variation

_STEPS, _SHARED_STEPS = 100, 10_000  # of which one is written ahead
_ROUNDING = 1 + 1e-9


class LeakageLimitError(RefusalError):
    """The tenant has received as many answers of a head as the limit allows."""

    def __init__(self) -> None:
        message = "this head has answered you as often as the server's limit of leakage allows"
        super().__init__(429, "leakage", message, 86_400)


class LeakageLedger:
    """The divergence of the answers of each tenant and head. Any thread may call it.

    Args:
        tables: tables of the endpoint's state.
        shared: other servers use them, too.
    """

    def __init__(self, tables: StateTables, *, shared: bool = False) -> None:
        self._tables = tables
        self._steps = _SHARED_STEPS if shared else _STEPS
        self._ahead: dict[tuple[str, str], float] = {}  # written, but not yet spent
        self._written: dict[tuple[str, str], float] = {}  # by all servers, when this one last wrote
        self._locks: dict[tuple[str, str], threading.Lock] = {}

    def charge(self, tenant: str, head: str, divergence: float, limit: float) -> None:
        """Charge the divergence of answers before they are given.

        Args:
            tenant: who is answered.
            head: digest of the weights.
            divergence: KL divergence of the answers.
            limit: largest total variation that a tenant's answers may add up to.

        Raises:
            LeakageLimitError: the limit would be exceeded. Nothing is charged.
            RefusalError: it cannot be written.
        """
        place, most = (tenant, head), 2 * limit**2  # Pinsker's inequality, solved for the divergence
        with hold_in_time(self._find_lock(place)):
            ahead = self._ahead.get(place, 0.0)
            missing = divergence - ahead
            if missing > 0:
                steps = (max(missing, most / self._steps), missing)
                written = next((step for step in steps if self._write(place, step, most)), None)
                if written is None:
                    raise LeakageLimitError
                ahead += written
            self._ahead[place] = ahead - divergence

    def reserve(self, tenant: str, head: str, divergence: float, limit: float) -> None:
        """Write ahead what answers will need, when a session is opened: the disk may be full later.

        Raises:
            LeakageLimitError: the limit would be exceeded.
            RefusalError: it cannot be written.
        """
        self.charge(tenant, head, divergence, limit)
        self.refund(tenant, head, divergence)

    def refund(self, tenant: str, head: str, divergence: float) -> None:
        """Return the divergence of answers that were not given."""
        place = (tenant, head)
        with hold_in_time(self._find_lock(place)):
            self._ahead[place] = self._ahead.get(place, 0.0) + divergence

    def compute_variation(self, tenant: str, head: str) -> float:
        """Return the total variation that a tenant's answers of a head add up to.

        Those of other replicas are counted as they were when this one last wrote.
        """
        place = (tenant, head)
        return total_variation(max(0.0, self._written.get(place, 0.0) - self._ahead.get(place, 0.0)))

    def close(self) -> None:
        """Return what was written, but not spent.

        Raises:
            RefusalError: it cannot be written: more is counted than was answered.
        """
        for place, lock in list(self._locks.items()):
            with hold_in_time(lock):
                rest = self._ahead.pop(place, 0.0)
                if rest > 0:
                    self._give_back(place, rest)

    def _find_lock(self, place: tuple[str, str]) -> threading.Lock:
        """Return the lock under which this server writes what a tenant has had of a head."""
        return self._locks.setdefault(place, threading.Lock())

    def _give_back(self, place: tuple[str, str], rest: float) -> None:
        read = "SELECT divergence FROM leakage WHERE tenant = ? AND head = ?"
        # Only from the value that was read: a statement that is run again after a lost connection returns
        # nothing twice. Where another replica wrote in between, the rest counts as spent.
        query = "UPDATE leakage SET divergence = ? WHERE tenant = ? AND head = ? AND divergence = ?"
        for (written,) in self._tables.run(read, *place):
            self._tables.run(query, max(0.0, written - rest), *place, written)

    def _write(self, place: tuple[str, str], step: float, most: float) -> bool:
        """Add a step to what is written, unless that would exceed the most."""
        query = (
            "INSERT INTO leakage VALUES (?, ?, ?) ON CONFLICT (tenant, head) "
            "DO UPDATE SET divergence = leakage.divergence + excluded.divergence "
            "WHERE leakage.divergence + excluded.divergence <= ? RETURNING divergence"
        )
        most *= _ROUNDING
        for (written,) in self._tables.run(query, *place, step, most) if step <= most else ():
            self._written[place] = written
            return True
        return False


def read_variations(tables: StateTables) -> dict[str, float]:
    """Return the largest total variation of a head that each tenant's answers add up to, written ahead."""
    found = tables.run("SELECT tenant, max(divergence) FROM leakage GROUP BY tenant")
    return {tenant: total_variation(divergence) for tenant, divergence in found}
