"""The ledger as the command line shows it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from pipeline.errors import SettingsError
from pipeline.settings import Settings
from pipeline.workspace import Workspace
from privacy.dp.ledger import Ledger, Population


@contextmanager
def _ledger(workspace: Workspace, settings: Settings) -> Generator[Ledger, None, None]:
    ledger = Ledger(workspace.ledger_url(settings))
    try:
        yield ledger
    finally:
        ledger.close()


def show(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Limits, totals and runs of all populations."""
    with _ledger(workspace, settings) as ledger:
        populations = [_population(ledger, population) for population in ledger.populations()]
        runs = [
            {
                "population": population.name,
                "unit": population.unit,
                "state": run.state,
                "epsilon": run.charge.epsilon(limit.delta if limit else settings.ledger.limit_delta),
                "noise_multiplier": run.charge.noise_multiplier,
                "sample_rate": run.charge.sample_rate,
                "steps": run.charge.steps,
                "reservation": run.id,
            }
            for population in ledger.populations()
            for limit in [ledger.limit(population)]
            for run in ledger.reservations(population)
        ]
    return {"populations": populations, "runs": runs}


def _population(ledger: Ledger, population: Population) -> dict[str, Any]:
    limit = ledger.limit(population)
    spent = ledger.spent(population, limit.delta) if limit else 0.0
    return {
        "population": population.name,
        "unit": population.unit,
        "relation": population.relation,
        "spent": spent,
        "limit": limit and limit.epsilon,
        "delta": limit and limit.delta,
        "left": limit and max(0.0, limit.epsilon - spent),
    }


def verify(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Whether chain, admissions and totals hold. A lost tail shows only against a head kept elsewhere."""
    with _ledger(workspace, settings) as ledger:
        found = ledger.verify()
    totals = [
        {"population": total.population.name, "unit": total.population.unit, "spent": total.epsilon}
        for total in found.totals
    ]
    return {
        "intact": found.ok,
        "entries": found.entries,
        "broken_at": found.broken_at,
        "head": found.head,
        "totals": totals,
    }


def limit(workspace: Workspace, settings: Settings, epsilon: float) -> dict[str, Any]:
    """Set the limit of every unit of the configured population.

    Raises:
        SettingsError: epsilon isn't above 0.
    """
    name = settings.ledger.population
    with _ledger(workspace, settings) as ledger:
        known = [population for population in ledger.populations() if population.name == name]
        try:
            for population in known or [Population(name)]:
                ledger.set_limit(population, epsilon, settings.ledger.limit_delta)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return {"populations": [_population(ledger, population) for population in ledger.populations()]}
