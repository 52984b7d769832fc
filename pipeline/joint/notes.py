"""What an office notes of a joint run: its documents, and whether every office has all steps."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.privacy.joint.summing import SumRefusedError

_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class RunNotes:
    """What an office has noted of a run.

    Attributes:
        folder: folder of the run.
    """

    folder: Path

    def begin(self, documents: str) -> None:
        """Note on which documents the training begins, and refuse to go on with others.

        Raises:
            AgreementError: the documents have changed, or the training has ended.
        """
        known = self._read()
        if not known:
            self.note(run=documents, begun=secrets.token_hex(16))
        elif known["run"] != documents:
            raise AgreementError(
                "the documents of this office have changed since the training began: draft a new agreement"
            )
        elif "false_sum" in known:
            raise AgreementError(
                "the training has ended: the hub has handed out a false sum; draft an agreement with another "
                "hub and a new key"
            )
        elif "ended" in known:
            raise AgreementError(
                f"the training has ended: a weight was not finite after step {known['ended']}; draft an "
                "agreement with a lower learning rate"
            )

    def digest(self, documents: str) -> str:
        """Return what identifies the run in the ledger.

        A run whose folder was lost is another run, charged anew: the others could lead it along another
        course, and it has forgotten what it has sent.
        """
        known = self._read()
        return compute_digest([documents, known["begun"]]) if "begun" in known else documents

    def is_settled(self) -> bool:
        """Return True if every office has said that it has all steps. Earlier versions did not note it."""
        known = self._read()
        return "settled" in known or "begun" not in known

    @contextmanager
    def end_at_false_sum(self) -> Generator[None]:
        """Note that the run has ended at a false sum: by many, a hub could measure the offices' key."""
        try:
            yield
        except SumRefusedError:
            self.note(false_sum=True)
            raise

    def note(self, **more: Any) -> None:
        """Note something more."""
        write_json(self.folder / _RUN, self._read() | more)

    def _read(self) -> dict[str, Any]:
        return read_json(self.folder / _RUN) or {}
