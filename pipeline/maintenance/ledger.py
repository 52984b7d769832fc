"""Views of the privacy ledger for people and auditors: tables, limits and exports."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import BudgetRefusedError, SettingsError
from lexveil.pipeline.training.charges import (
    count_missing_charges,
    determine_population,
    record_charges,
    require_complete,
)
from lexveil.pipeline.workspace.storage import write_output
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.ledger import Ledger, LedgerError, Population, Verification


@contextmanager
def open_ledger_for_reading(workspace: Workspace) -> Generator[Ledger]:
    """Open the ledger without setting a limit.

    Raises:
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    try:
        ledger = workspace.ledger
        try:
            yield ledger
        finally:
            ledger.close()
    except LedgerError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {error}") from None


def summarize_ledger(workspace: Workspace) -> dict[str, Any]:
    """Summarize limits, totals and runs of all populations.

    Raises:
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    with open_ledger_for_reading(workspace) as ledger:
        populations = [_describe_population(ledger, population) for population in ledger.populations()]
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


def _describe_population(ledger: Ledger, population: Population) -> dict[str, Any]:
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


def verify_ledger(workspace: Workspace, head: str | None = None) -> dict[str, Any]:
    """Verify chain, admissions and totals of the ledger, and that it has the charges of the log and cards.

    Args:
        workspace: the workspace.
        head: hash of an entry that the ledger must contain; None: none.

    Raises:
        BudgetRefusedError: the ledger does not answer.
    """
    with open_ledger_for_reading(workspace) as ledger:
        verification = ledger.verify()
        kept = head is None or head in {entry.hash for entry in ledger.entries()}
        missing = count_missing_charges(workspace, ledger)
    verified = _describe_verification(verification, kept)
    return verified | {"intact": verified["intact"] and not missing, "missing_charges": missing}


def _describe_verification(verification: Verification, kept: bool) -> dict[str, Any]:
    totals = [
        {"population": total.population.name, "unit": total.population.unit, "spent": total.epsilon}
        for total in verification.totals
    ]
    return {
        "intact": verification.ok and kept,
        "entries": verification.entries,
        "broken_at": verification.broken_at,
        "head": verification.head,
        "totals": totals,
    }


def set_limit(workspace: Workspace, epsilon: float) -> dict[str, Any]:
    """Set the limit of the configured population, in every unit that it has in the ledger.

    Raises:
        SettingsError: epsilon is not above 0.
        BudgetRefusedError: the ledger is broken, does not answer, or has forgotten something.
    """
    name = workspace.settings.ledger.population
    with open_ledger_for_reading(workspace) as ledger:
        require_complete(workspace, ledger, name)
        known = [population for population in ledger.populations() if population.name == name]
        try:
            for population in known or [determine_population(workspace, ledger)]:
                ledger.set_limit(population, epsilon, workspace.settings.ledger.limit_delta)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        record_charges(workspace, ledger, name)
        return {"populations": [_describe_population(ledger, one) for one in ledger.populations()]}


def export_ledger(workspace: Workspace, target: Path) -> dict[str, Any]:
    """Write the ledger as the document that `lexveil.privacy.dp.ledger.export` describes.

    It names no step at which a run stopped (`conceal_stops`), since auditors may be outside.

    Raises:
        SourceError: the file cannot be written.
    """
    with open_ledger_for_reading(workspace) as ledger:
        entries = exported.conceal_stops(ledger.entries())
    write_output(target, exported.dump(entries).encode(), mode=0o666)
    head = entries[-1].hash if entries else None
    return {"export": str(target), "entries": len(entries), "head": head}


def verify_export(source: Path, head: str | None = None) -> dict[str, Any]:
    """Recompute an exported ledger, without its database.

    Args:
        source: the exported file.
        head: hash of an entry that the export must contain; None: none.

    Raises:
        SettingsError: the file cannot be read, or is not an export.
    """
    try:
        export = exported.load(source.read_text(encoding="utf-8"))
        result = exported.audit(export)
    except OSError:
        raise SettingsError(f"cannot read {source}") from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{source} is not a ledger export of this version") from None
    kept = head is None or head in {entry.hash for entry in export.entries}
    verified = _describe_verification(result.verification, kept)
    return verified | {
        "intact": verified["intact"] and result.claims_hold,
        "claims_hold": result.claims_hold,
    }
