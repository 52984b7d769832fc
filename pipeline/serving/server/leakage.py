"""The leakage ledger: what sealed replies have told each tenant about each head, against a limit.

A sealed reply differs from one that holds only the logits by a stated divergence, which adds up over answers
(`lexveil.privacy.he.flooding`). The ledger adds it up for each tenant and head, and refuses answers beyond
the limit. It counts tenants separately: several who work together add up what theirs tell.

What is spent is written ahead, in steps of a hundredth of the limit. So open sessions are answered for a
while on a full disk, and a server that was killed counts more than it answered, never less. Each replica
writes its own steps, which together stay within the limit.
"""

from __future__ import annotations

import threading

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.tables import StateTables
from lexveil.privacy.he.flooding import total_variation

_STEPS = 100  # of which one is written ahead
_ROUNDING = 1 + 1e-9


class LeakageLimitError(RefusalError):
    """The tenant has had as many answers of a head as the limit allows."""

    def __init__(self) -> None:
        message = "this head has answered you as often as the server's limit of leakage allows"
        super().__init__(429, "leakage", message, 86_400)


class LeakageLedger:
    """The divergence of the answers of each tenant and head. Any thread may call it.

    Args:
        tables: tables of the endpoint's state.
    """

    def __init__(self, tables: StateTables) -> None:
        self._tables = tables
        self._ahead: dict[tuple[str, str], float] = {}  # written, but not yet spent
        self._lock = threading.Lock()

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
        with self._lock:
            ahead = self._ahead.get(place, 0.0)
            missing = divergence - ahead
            if missing > 0:
                steps = (max(missing, most / _STEPS), missing)
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
        with self._lock:
            self._ahead[tenant, head] = self._ahead.get((tenant, head), 0.0) + divergence

    def compute_variation(self, tenant: str, head: str) -> float:
        """Return the total variation that a tenant's answers of a head add up to."""
        place = (tenant, head)
        return total_variation(max(0.0, self._read(place) - self._ahead.get(place, 0.0)))

    def _read(self, place: tuple[str, str]) -> float:
        query = "SELECT divergence FROM leakage WHERE tenant = ? AND head = ?"
        return sum(divergence for (divergence,) in self._tables.run(query, *place))

    def _write(self, place: tuple[str, str], step: float, most: float) -> bool:
        """Add a step to what is written, unless that would exceed the most."""
        query = (
            "INSERT INTO leakage VALUES (?, ?, ?) ON CONFLICT (tenant, head) "
            "DO UPDATE SET divergence = leakage.divergence + excluded.divergence "
            "WHERE leakage.divergence + excluded.divergence <= ? RETURNING divergence"
        )
        most *= _ROUNDING
        return step <= most and bool(self._tables.run(query, *place, step, most))


def read_variations(tables: StateTables) -> dict[str, float]:
    """Return the largest total variation of a head that each tenant's answers add up to, written ahead."""
    found = tables.run("SELECT tenant, max(divergence) FROM leakage GROUP BY tenant")
    return {tenant: total_variation(divergence) for tenant, divergence in found}
