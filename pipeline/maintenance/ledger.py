"""The privacy ledger as people and auditors see it: tables, a drawing, a document checked elsewhere."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexveil.pipeline.errors import BudgetRefusedError, SettingsError
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.ledger import Ledger, LedgerError, Population, Verification

if TYPE_CHECKING:
    pass


@contextmanager
def reading_ledger(workspace: Workspace) -> Generator[Ledger]:
    try:
        ledger = workspace.ledger
        try:
            yield ledger
        finally:
            ledger.close()
    except LedgerError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {error}") from None


def show(workspace: Workspace) -> dict[str, Any]:
    """Limits, totals and runs of all populations.

    Raises:
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    with reading_ledger(workspace) as ledger:
        populations = [_population(ledger, population) for population in ledger.populations()]
        runs = [
            {
                "population": population.name,
                "unit": population.unit,
                "state": run.state,
                "epsilon": run.charge.epsilon(
                    limit.delta if limit else workspace.settings.ledger.limit_delta
                ),
                "noise_multiplier": run.charge.noise_multiplier,
                "sample_rate": run.charge.sample_rate,
                "steps": run.charge.steps,
                "charged_steps": run.charged_steps,
                "max_batch": run.charge.truncation and run.charge.truncation.max_batch,
                "reservation": run.id,
            }
            for population in ledger.populations()
            for limit in [ledger.limit(population)]
            for run in ledger.reservations(population)
        ]
    return {"populations": populations, "runs": runs}


def _population(ledger: Ledger, population: Population) -> dict[str, Any]:
    limit = ledger.limit(population)
    spent = ledger.spent_epsilon(population, limit.delta) if limit else 0.0
    return {
        "population": population.name,
        "unit": population.unit,
        "relation": population.relation,
        "spent": spent,
        "limit": limit and limit.epsilon,
        "delta": limit and limit.delta,
        "left": limit and max(0.0, limit.epsilon - spent),
    }


def verify(workspace: Workspace, head: str | None = None) -> dict[str, Any]:
    """Whether chain, admissions and totals hold, and whether a `head` that was kept is still there."""
    with reading_ledger(workspace) as ledger:
        found = ledger.verify()
        kept = head is None or head in {entry.hash for entry in ledger.entries()}
    return _verified(found, kept)


def _verified(found: Verification, kept: bool) -> dict[str, Any]:
    totals = [
        {"population": total.population.name, "unit": total.population.unit, "spent": total.epsilon}
        for total in found.totals
    ]
    return {
        "intact": found.ok and kept,
        "entries": found.entries,
        "broken_at": found.broken_at,
        "head": found.head,
        "totals": totals,
    }


def limit(workspace: Workspace, epsilon: float) -> dict[str, Any]:
    """Set the limit of every unit of the configured population.

    Raises:
        SettingsError: epsilon isn't above 0.
    """
    name = workspace.settings.ledger.population
    with reading_ledger(workspace) as ledger:
        known = [population for population in ledger.populations() if population.name == name]
        try:
            for population in known or [Population(name)]:
                ledger.set_limit(population, epsilon, workspace.settings.ledger.limit_delta)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return {"populations": [_population(ledger, population) for population in ledger.populations()]}


def export(workspace: Workspace, target: Path) -> dict[str, Any]:
    """Write the whole ledger as the document that `lexveil.privacy.dp.ledger.export` describes.

    Raises:
        SettingsError: the file can't be written.
    """
    with reading_ledger(workspace) as ledger:
        entries = ledger.entries()
    write_file(target, exported.dump(entries).encode())
    head = entries[-1].hash if entries else None
    return {"export": str(target), "entries": len(entries), "head": head}


def verify_export(source: Path, head: str | None = None) -> dict[str, Any]:
    """Recompute an exported ledger, without the database it came from.

    Raises:
        SettingsError: the file can't be read, or is no export.
    """
    try:
        export = exported.load(source.read_text(encoding="utf-8"))
        result = exported.audit(export)
    except OSError:
        raise SettingsError(f"can't read {source}") from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{source} is no ledger export of this version") from None
    kept = head is None or head in {entry.hash for entry in export.entries}
    verified = _verified(result.verification, kept)
    return verified | {
        "intact": verified["intact"] and result.claims_hold,
        "claims_hold": result.claims_hold,
    }


def write_file(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError:
        raise SettingsError(f"can't write {target}") from None
