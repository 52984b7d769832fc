"""`lexveil audit`: the software attacks itself before anybody relies on what a model's card claims."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lexveil.flows import actions
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    open_workspace,
    settings_of,
)


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command()(audit)


def audit(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Its name, or its kind. Default: the newest.")
    ] = None,
    attacks: Annotated[
        bool,
        typer.Option(
            "--attacks/--gate-only", help="Also attack the model itself, against one without privacy."
        ),
    ] = True,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attack the training code and a saved model; the verdict goes on its card. Exit code 4 if a test fails.

    Nothing is charged: the gate runs on synthetic data, and figures of the attacks stay under protected/.
    """
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.errors import AuditFailedError
    from lexveil.pipeline.stages.audit import audit as stage

    with actions.alone(workspace, "audit") as done, console.progress(as_json) as tell:
        found = stage(workspace, model, attacks=attacks, tell=tell)
        failed = found.card["failed"]
        done |= actions.of_audit(found)
    shown: dict[str, Any] = {
        "model": found.saved.name,
        "passed": not failed,
        "failed": failed if as_json else ", ".join(failed) or "none",
        "claimed_epsilon": found.card["claimed_epsilon"],
        "epsilon_lower_bound": found.card["epsilon_lower_bound"],
        "confidence": found.card["confidence"],
        "attacks": _attacks(found.attacked is not None, found.card["attacked"]),
        "unprotected_figures": str(found.unprotected or "none"),
        "tests": [
            {
                "test": finding.name,
                "p_value": finding.p_value,
                "verdict": "FAILED" if finding.name in failed else "held",
            }
            for finding in found.findings
        ],
    }
    console.show(shown, as_json)
    if failed:
        raise AuditFailedError(
            f"the audit of {found.saved.name} has failed ({', '.join(failed)}): do not rely on its epsilon"
        )


def _attacks(asked: bool, done: bool) -> str:
    if done:
        return "done"
    return "left out: fewer than 20 owners trained on or held out" if asked else "not asked for"
