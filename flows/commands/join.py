"""`lexveil join`: several offices train one model together, and none shows a document to another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from lexveil.flows.actions import exclusive_action, summarize_model
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    CommonOptions,
    ConfigOption,
    Epsilon,
    IngestFields,
    JsonOption,
    KindOption,
    RequiredWorkspace,
    Workers,
    WorkspaceOptions,
)

if TYPE_CHECKING:
    from lexveil.pipeline.joint.agreement import Protection

AgreementArgument = Annotated[Path, typer.Argument(metavar="AGREEMENT", help="File of the agreement.")]
ProtectionOption = Annotated[
    str,
    typer.Option(
        help="sum: only the sum of all offices is opened. office: each office adds all the noise. once: as "
        "sum, in one message. cyclic: one office after the other takes a step."
    ),
]
Colluders = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="With sum and once: number of offices that may tell each other what they see. Default: 1",
    ),
]
OfficesPerOwner = Annotated[
    int, typer.Option(min=1, help="The most offices in which one owner has documents.")
]
Patience = Annotated[float, typer.Option(min=1, help="Seconds to wait for another office before giving up.")]


def offer(
    name: Annotated[str, typer.Option(help="Name of this office: small letters, digits and hyphens.")],
    address: Annotated[str, typer.Option(help="Host and port at which this office listens, host:port.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, for whoever drafts the agreement.")],
    model: KindOption = None,
    workers: Workers = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write what this office shows the others: certificate, number of owners, and what it would train."""
    workspace = options.open(train={"model": model}, workers=workers)
    from lexveil.pipeline.joint.office import make_offer

    with (
        exclusive_action(workspace, "join-offer") as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        made = make_offer(workspace, name, address, each)
        outcome |= {"owners": made.owners}
    out.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    console.show({"name": made.name, "owners": made.owners, "address": made.address}, options.as_json)


def draft(
    agreement: AgreementArgument,
    offers: Annotated[list[Path], typer.Argument(metavar="OFFER...", help="Files of all offices' offers.")],
    epsilon: Epsilon = None,
    protection: ProtectionOption = "sum",
    colluders: Colluders = None,
    offices_per_owner: OfficesPerOwner = 1,
    *,
    options: CommonOptions,
) -> None:
    """Draft the agreement of all offices: the steps, the noise, and who is protected from whom."""
    settings = options.settings(train={"epsilon": epsilon})
    from lexveil.pipeline.joint.agreement import draft_agreement, read_offer

    drafted = draft_agreement(
        [read_offer(path) for path in offers],
        settings.train,
        _choose_protection(protection),
        _choose_colluders(protection, colluders),
        offices_per_owner,
    )
    agreement.write_bytes(drafted.to_bytes())
    console.show(
        {
            "agreement": drafted.digest.hex(),
            "offices": len(drafted.offices),
            "owners": drafted.owners,
            "protection": drafted.describe(),
            "epsilon": drafted.plan_charge().epsilon(drafted.delta),
            "delta": drafted.delta,
            "unit": drafted.setup.unit,
            "steps": drafted.steps,
        },
        options.as_json,
    )


def sign(agreement: AgreementArgument, *, options: WorkspaceOptions) -> None:
    """Check that this office can keep the agreement, and sign it. Nothing is charged yet."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import describe_run, sign_agreement

    agreed = read_agreement(agreement)
    with exclusive_action(workspace, "join-sign") as outcome:
        sign_agreement(workspace, agreed)
        outcome |= {"agreement": agreed.digest.hex()}
    console.show(describe_run(workspace, agreed), options.as_json)


def train(
    agreement: AgreementArgument,
    workers: Workers = None,
    patience: Patience = 600.0,
    listen: Annotated[
        str | None,
        typer.Option(
            help="Host and port to listen at, host:port. Default: the address of this office's offer"
        ),
    ] = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Train with the other offices, which give this command at the same time; the ledger is charged first."""
    workspace = options.open(workers=workers)
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import train_jointly
    from lexveil.pipeline.models.card import read_card

    agreed = read_agreement(agreement)
    with (
        exclusive_action(workspace, "join-train", {"agreement": agreed.digest.hex()}) as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        trained = train_jointly(workspace, agreed, each, patience=patience, listen=listen)
        card = read_card(trained.saved.folder)
        outcome |= summarize_model(card) | {"new": trained.new}
    console.show({"new": trained.new, "recalled_steps": trained.recalled, **card}, options.as_json)


def status(agreement: AgreementArgument, *, options: WorkspaceOptions) -> None:
    """Show the agreement, and how far this office is."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import describe_run

    console.show(describe_run(workspace, read_agreement(agreement)), options.as_json)


def verify(agreement: AgreementArgument, *, options: WorkspaceOptions) -> None:
    """Recompute the training from what all offices signed; a changed bit is refused and its office named."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import verify_run

    with workspace.log.record("join-verify"):
        result = verify_run(workspace, read_agreement(agreement))
    console.show(result, options.as_json)


def views(agreement: AgreementArgument, *, options: WorkspaceOptions) -> None:
    """Show which bytes went to and came from each other office, and what they tell it."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.views import describe_views

    console.show(describe_views(workspace, read_agreement(agreement)), options.as_json)


def audit(
    agreement: AgreementArgument,
    role: Annotated[
        str | None,
        typer.Option(help="Show one role: outsider, office or coalition. Default: all. There is no hub."),
    ] = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Attack this office's people with what others saw of a finished training; the figures stay inside.

    What each role sees, and the epsilon of it, is shown. Nothing is charged.
    """
    workspace = options.open()
    from dataclasses import asdict

    from lexveil.pipeline.errors import SettingsError
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.roles import attack_roles, list_views

    agreed = read_agreement(agreement)
    views = [view for view in list_views(agreed) if role in (None, view.role)]
    if not views:
        raise SettingsError("--role is outsider, office or coalition")
    with (
        exclusive_action(workspace, "join-audit", {"agreement": agreed.digest.hex()}),
        console.progress(options.as_json) as progress,
    ):
        path = attack_roles(workspace, agreed, progress=progress)
    shown = [asdict(view) for view in views]
    console.show({"views": shown, "unprotected_figures": str(path)}, options.as_json)


def rehearse(
    source: Annotated[Path, typer.Argument(help="File of records, JSON lines, dealt out by owner.")],
    *,
    folder: RequiredWorkspace,
    offices: Annotated[int, typer.Option(min=2, max=16, help="Number of offices.")] = 3,
    protection: ProtectionOption = "sum",
    colluders: Colluders = None,
    epsilon: Epsilon = None,
    fields: IngestFields,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a joint training on this machine: each office is a workspace and a process of its own."""
    from dataclasses import asdict

    settings = CommonOptions(config).settings(ingest=asdict(fields), train={"epsilon": epsilon})
    from lexveil.pipeline.joint.rehearsal import prepare_rehearsal, summarize_rehearsal

    agreement, workspaces = prepare_rehearsal(
        source,
        Path(folder),
        settings,
        offices,
        _choose_protection(protection),
        _choose_colluders(protection, colluders),
    )
    chosen = [] if config is None else ["--config", str(config)]
    command = [sys.executable, "-m", "lexveil.flows.cli", "join", "train", str(agreement), "--json", *chosen]
    running = [subprocess.Popen([*command, "-w", str(one)], stdout=subprocess.DEVNULL) for one in workspaces]
    codes = [process.wait() for process in running]
    if any(codes):
        raise typer.Exit(next(code for code in codes if code))
    console.show(summarize_rehearsal(agreement, workspaces, settings), as_json)


def _choose_protection(protection: str) -> Protection:
    from lexveil.pipeline.errors import SettingsError
    from lexveil.pipeline.joint.agreement import Protection

    known: tuple[Protection, ...] = get_args(Protection)
    for one in known:
        if one == protection:
            return one
    raise SettingsError(f"--protection is one of {', '.join(known)}")


def _choose_colluders(protection: str, colluders: int | None) -> int:
    if colluders is None:
        return 1 if protection in ("sum", "once") else 0
    return colluders
