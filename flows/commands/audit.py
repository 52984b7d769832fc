"""`lexveil audit`: attacks on our own software, before anyone relies on what a model's card claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexveil.flows.actions import exclusive_action, summarize_audit
from lexveil.flows.commands import console
from lexveil.flows.commands.options import WorkspaceOptions

if TYPE_CHECKING:
    from lexveil.pipeline.stages.audit import AuditOutcome


def audit(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Name of a model, or its kind. Default: the newest model."),
    ] = None,
    attacks: Annotated[
        bool,
        typer.Option(
            "--attacks/--gate-only",
            help="Also attack the model itself, compared with one trained without privacy.",
        ),
    ] = True,
    *,
    options: WorkspaceOptions,
) -> None:
    """Attack the training code and a saved model; the verdict goes on its card. Exit code 4 if a test fails.

    Nothing is charged: the gate runs on synthetic data, and the figures of the attacks stay under protected/.
    """
    workspace = options.open()
    from lexveil.pipeline.errors import AuditFailedError
    from lexveil.pipeline.stages.audit import audit as run_stage

    with exclusive_action(workspace, "audit") as outcome, console.progress(options.as_json) as progress:
        audited = run_stage(workspace, model, attacks=attacks, progress=progress)
        outcome |= summarize_audit(audited)
    failed: list[str] = audited.card["failed"]
    shown = _describe(audited)
    if not options.as_json:
        shown["failed"] = ", ".join(failed) or "none"
    console.show(shown, options.as_json)
    if failed:
        raise AuditFailedError(
            f"the audit of {audited.saved.name} has failed ({', '.join(failed)}): do not rely on its epsilon"
        )


def _describe(audited: AuditOutcome) -> dict[str, Any]:
    card = audited.card
    return {
        "model": audited.saved.name,
        "passed": not card["failed"],
        "failed": card["failed"],
        "claimed_epsilon": card["claimed_epsilon"],
        "epsilon_lower_bound": card["epsilon_lower_bound"],
        "profile_lower_bound": card["profile_lower_bound"],
        "confidence": card["confidence"],
        "attacks": _describe_attacks(audited.attacked is not None, card["attacked"]),
        "unprotected_figures": str(audited.unprotected or "none"),
        "tests": [
            {
                "test": finding.name,
                "p_value": finding.p_value,
                "verdict": "FAILED" if finding.name in card["failed"] else "held",
            }
            for finding in audited.findings
        ],
    }


def _describe_attacks(requested: bool, done: bool) -> str:
    if done:
        return "done"
    return "left out: fewer than 20 owners trained on or held out" if requested else "not asked for"
