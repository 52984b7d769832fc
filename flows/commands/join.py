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
        "sum, in one message. cyclic: one office after the other takes a step. he: a hub adds what offices "
        "have encrypted."
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
SumKey = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="With he: file of the key that every office has (lexveil join key), and the hub has not.",
    ),
]
Theta = Annotated[
    float | None,
    typer.Option(
        "--theta",
        help="With office and cyclic: send this share of an upload, its largest entries, noise included. It "
        "saves bytes and guarantees nothing further. Default: all",
    ),
]
Score = Annotated[
    float | None,
    typer.Option(
        "--score",
        min=0.01,
        help="Release how well this office's labels fit, with this epsilon; who fits less counts less.",
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(help="Host and port to listen at, host:port. Default: the address of the own offer"),
]
Patience = Annotated[float, typer.Option(min=1, help="Seconds to wait for another office before giving up.")]


def offer(
    name: Annotated[str, typer.Option(help="Name of this office: small letters, digits and hyphens.")],
    address: Annotated[str, typer.Option(help="Host and port at which this office listens, host:port.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, for whoever drafts the agreement.")],
    model: KindOption = None,
    score: Score = None,
    workers: Workers = None,
    hub: Annotated[
        bool,
        typer.Option(
            "--hub", help="Offer a hub for protection he; its workspace is made, without documents."
        ),
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write what this office shows the others: certificate, number of owners, and what it would train."""
    if hub:
        _offer_hub(name, address, out, options)
        return
    workspace = options.open(train={"model": model}, workers=workers)
    from lexveil.pipeline.joint.office import make_offer
    from lexveil.pipeline.joint.scores import LEVELS

    with (
        exclusive_action(workspace, "join-offer") as outcome,
        console.worker_pool(workspace.settings, options.as_json) as each,
    ):
        made = make_offer(workspace, name, address, each, score)
        outcome |= {"owners": made.owners}
    out.write_text(made.model_dump_json(indent=1, exclude_none=True) + "\n", encoding="utf-8")
    shown = {"name": made.name, "owners": made.owners, "address": made.address}
    scored = {} if made.score is None else {"score": made.score.level / LEVELS}
    console.show(shown | scored, options.as_json)


def draft(
    agreement: AgreementArgument,
    offers: Annotated[list[Path], typer.Argument(metavar="OFFER...", help="Files of all offices' offers.")],
    epsilon: Epsilon = None,
    protection: ProtectionOption = "sum",
    colluders: Colluders = None,
    offices_per_owner: OfficesPerOwner = 1,
    hub: Annotated[Path | None, typer.Option(help="With he: file of the hub's offer.")] = None,
    key: SumKey = None,
    theta: Theta = None,
    *,
    options: CommonOptions,
) -> None:
    """Draft the agreement of all offices: the steps, the noise, and who is protected from whom."""
    settings = options.settings(train={"epsilon": epsilon})
    from lexveil.pipeline.joint.agreement import read_hub_offer, read_offer
    from lexveil.pipeline.joint.drafting import draft_agreement
    from lexveil.pipeline.joint.identity import read_sum_key

    drafted = draft_agreement(
        [read_offer(path) for path in offers],
        settings.train,
        _choose_protection(protection),
        _choose_colluders(protection, colluders),
        offices_per_owner,
        None if hub is None else read_hub_offer(hub),
        None if key is None else read_sum_key(key)[1],
        theta,
    )
    agreement.write_bytes(drafted.to_bytes())
    console.show(
        {
            "agreement": drafted.digest.hex(),
            "offices": len(drafted.offices),
            "owners": drafted.owners,
            "weights": drafted.weights,
            "protection": drafted.describe(),
            "epsilon": drafted.plan_charge().epsilon(drafted.delta),
            "delta": drafted.delta,
            "unit": drafted.setup.unit,
            "steps": drafted.steps,
        },
        options.as_json,
    )


def key(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; every office needs a copy.")],
    *,
    options: CommonOptions,
) -> None:
    """Make the key of the sums for protection he. Hand it to every office, and never to the hub."""
    options.settings()
    from lexveil.pipeline.joint.identity import make_sum_key, read_sum_key

    make_sum_key(out)
    console.show({"key": read_sum_key(out)[1]}, options.as_json)


def sign(agreement: AgreementArgument, key: SumKey = None, *, options: WorkspaceOptions) -> None:
    """Check that this office can keep the agreement, and sign it. Nothing is charged yet."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import describe_run, sign_agreement

    agreed = read_agreement(agreement)
    with exclusive_action(workspace, "join-sign") as outcome:
        sign_agreement(workspace, agreed, key)
        outcome |= {"agreement": agreed.digest.hex()}
    console.show(describe_run(workspace, agreed), options.as_json)


def train(
    agreement: AgreementArgument,
    workers: Workers = None,
    patience: Patience = 600.0,
    listen: Listen = None,
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


def hub(
    agreement: AgreementArgument,
    patience: Patience = 600.0,
    listen: Listen = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """With he: add what the offices have encrypted, and hand on what they say; the hub reads nothing."""
    workspace = options.open()
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.hub import run_hub

    agreed = read_agreement(agreement)
    with exclusive_action(workspace, "join-hub", {"agreement": agreed.digest.hex()}) as outcome:
        steps = run_hub(workspace, agreed, patience=patience, listen=listen)
        outcome |= {"steps": steps}
    console.show({"added_steps": steps, "steps": agreed.steps}, options.as_json)


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
        typer.Option(help="Show one role: outsider, hub (with he), office or coalition. Default: all."),
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
        raise SettingsError("--role is outsider, office or coalition, and with protection he hub")
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
    score: Score = None,
    theta: Theta = None,
    fields: IngestFields,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a joint training on this machine: each office is a workspace and a process of its own."""
    from dataclasses import asdict

    settings = CommonOptions(config).settings(ingest=asdict(fields), train={"epsilon": epsilon})
    from lexveil.pipeline.joint.rehearsal import find_hub, prepare_rehearsal, summarize_rehearsal

    agreement, workspaces = prepare_rehearsal(
        source,
        Path(folder),
        settings,
        offices,
        _choose_protection(protection),
        _choose_colluders(protection, colluders),
        score,
        theta,
    )
    chosen = [] if config is None else ["--config", str(config)]
    parts = [("train", one) for one in workspaces]
    if (hub := find_hub(agreement)) is not None:
        parts.append(("hub", hub))
    program = [sys.executable, "-m", "lexveil.flows.cli", "join"]
    running = [
        subprocess.Popen(
            [*program, part, str(agreement), "--json", *chosen, "-w", str(one)], stdout=subprocess.DEVNULL
        )
        for part, one in parts
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise typer.Exit(next(code for code in codes if code))
    console.show(summarize_rehearsal(agreement, workspaces, settings), as_json)


def _offer_hub(name: str, address: str, out: Path, options: WorkspaceOptions) -> None:
    from lexveil.pipeline.errors import SettingsError
    from lexveil.pipeline.joint.hub import make_hub_offer
    from lexveil.pipeline.workspace.workspace import Workspace

    if options.location is None:
        raise SettingsError("name the workspace of the hub with -w")
    workspace = Workspace.create_or_open(options.location, options.settings())
    with exclusive_action(workspace, "join-offer"):
        made = make_hub_offer(workspace, name, address)
    out.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    console.show({"name": made.name, "address": made.address}, options.as_json)


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
