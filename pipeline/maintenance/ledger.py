"""Views of the privacy ledger for people and auditors: tables, limits and exports."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import BudgetRefusedError, SettingsError
from lexveil.pipeline.training.charges import (
    count_missing_charges,
    describe_relation,
    determine_population,
    log_release,
    record_charges,
    require_complete,
)
from lexveil.pipeline.training.recipes import plan_charge
from lexveil.pipeline.training.reservations import (
    explain_refusals,
    open_reconciled_ledger,
    require_chargeable,
    set_first_limit,
)
from lexveil.pipeline.workspace.outputs import write_output
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.budget import Account, Schedule
from lexveil.privacy.dp.ledger.ledger import Ledger, LedgerError, Population
from lexveil.privacy.dp.ledger.verification import Verification


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
    """Summarize limits, totals, schedules and runs of all populations.

    Raises:
        BudgetRefusedError: the ledger is broken or does not answer.
    """
    with open_ledger_for_reading(workspace) as ledger:
        accounts = ledger.read().accounts()
    return {
        "populations": [_describe_account(account) for account in accounts],
        "schedules": [
            _describe_schedule(account, schedule) for account in accounts for schedule in account.schedules
        ],
        "runs": [run for account in accounts for run in _list_runs(workspace, account)],
    }


def _list_runs(workspace: Workspace, account: Account) -> list[dict[str, Any]]:
    delta = account.limit.delta if account.limit else workspace.settings.ledger.limit_delta
    names = {schedule.id: schedule.name for schedule in account.schedules}
    return [
        {
            "population": account.population.name,
            "unit": account.population.unit,
            "state": run.state,
            "epsilon": run.charge.epsilon(delta),
            "noise_multiplier": run.charge.noise_multiplier,
            "sample_rate": run.charge.sample_rate,
            "steps": run.charge.steps,
            "charged_steps": run.charged_steps,
            "max_batch": run.charge.truncation and run.charge.truncation.max_batch,
            "schedule": names.get(run.schedule or ""),
            "reservation": run.id,
        }
        for run in account.reservations
    ]


def _describe_schedule(account: Account, schedule: Schedule) -> dict[str, Any]:
    assert account.limit is not None  # nothing is charged without one
    delta = account.limit.delta
    return {
        "population": account.population.name,
        "unit": account.population.unit,
        "schedule": schedule.name,
        "runs": schedule.runs,
        "used": account.count_used(schedule),
        "epsilon": schedule.whole.epsilon(delta),
        "each": schedule.charge.epsilon(delta),
        "composed": "by distribution" if schedule.planned else "by the filter",
    }


def _describe_account(account: Account) -> dict[str, Any]:
    limit = account.limit
    spent = account.spent_epsilon(limit.delta) if limit else 0.0
    return {
        "population": account.population.name,
        "unit": account.population.unit,
        "relation": account.population.relation,
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
        now = ledger.read()
        verification = now.verify()
        kept = head is None or head in {entry.hash for entry in now.entries}
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
        return {"populations": [_describe_account(account) for account in ledger.read().accounts()]}


def announce_schedule(workspace: Workspace, name: str, runs: int) -> dict[str, Any]:
    """Announce trainings with the settings in use, and charge them all now.

    A training that then has the announced charge costs nothing more, as long as runs are left. The same
    announcement again changes nothing.

    Args:
        workspace: the workspace.
        name: name of the schedule.
        runs: number of trainings.

    Returns:
        The schedule, its population, and what is spent with it.

    Raises:
        SettingsError: the name or the number is not possible, or nothing tells the unit yet.
        TrainingRefusedError: what a training costs depends on its documents.
        BudgetRefusedError: the ledger's limit would be exceeded, or the ledger refuses.

    Formal guarantee:
        That of `Ledger`. A schedule that is announced before anything else is charged is composed by privacy
        loss distributions, because no result can have decided what is in it; a later one is charged like
        runs one after the other.
    """
    _check_name(name)
    if runs < 1:
        raise SettingsError("a schedule has at least 1 training")
    charge = plan_charge(workspace.settings.train)
    if workspace.settings.ledger.unit is None and not workspace.catalogue.read().num_rows:
        raise SettingsError(
            'without documents, nothing tells who is counted: set ledger.unit to "owner" or "document"'
        )
    with open_reconciled_ledger(workspace) as (ledger, population):
        if workspace.catalogue.read().num_rows:
            require_chargeable(workspace, ledger, population)
        else:
            require_complete(workspace, ledger, population.name)
        set_first_limit(workspace, ledger, population)
        with explain_refusals():
            schedule = ledger.announce(population, name, charge, runs)
        record_charges(workspace, ledger, population.name)
        return _describe_schedule(ledger.account(population), schedule) | {
            "neighbors": describe_relation(population),
            **_describe_budget(ledger, population),
        }


def withdraw_schedule(workspace: Workspace, name: str) -> dict[str, Any]:
    """Take back a schedule of which no training was reserved: it costs nothing then.

    Raises:
        BudgetRefusedError: there is no such schedule, a training of it was reserved, or the ledger refuses.
    """
    with open_reconciled_ledger(workspace) as (ledger, population):
        require_complete(workspace, ledger, population.name)
        schedule = ledger.withdraw(population, name)
        log_release(workspace, schedule.id)
        record_charges(workspace, ledger, population.name)
        return {"withdrawn": name, **_describe_budget(ledger, population)}


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise SettingsError("the name of a schedule has 1 to 64 letters, digits, dots, dashes or underscores")


def _describe_budget(ledger: Ledger, population: Population) -> dict[str, Any]:
    described = _describe_account(ledger.account(population))
    return {name: described[name] for name in ("spent", "limit", "left", "delta")}


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
