"""What each role in a finished joint training is left with, and attacks on this office's people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.agreement import Agreement
from lexveil.pipeline.joint.attacks import (
    JointCourse,
    attack_lone_owners,
    attack_membership,
    compute_epsilon,
)
from lexveil.pipeline.joint.identity import build_summing, find_own, run_folder, translate_failures
from lexveil.pipeline.joint.office import find_joint_model
from lexveil.pipeline.models.encoding import get_encoding
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.records import ForEach, Progress, ignore_progress, run_one_by_one
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.data import load_split
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.noise import Integers

Role = Literal["outsider", "hub", "office", "coalition"]


@dataclass(frozen=True, slots=True)
class RoleView:
    """What a role sees.

    Attributes:
        role: the role.
        offices: number of offices that act together.
        sees: what they see of this office.
        shares: number of shares of noise that they cannot subtract; None: they see nothing that has any.
        epsilon: epsilon of all that they see together; None as above.
    """

    role: Role
    offices: int
    sees: str
    shares: int | None
    epsilon: float | None


def list_views(agreement: Agreement) -> list[RoleView]:
    """List what each role sees under an agreement, as far as offices follow the protocol."""
    count = len(agreement.offices)
    charge, noise = agreement.plan_charge(), agreement.plan_noise()

    def see(role: Role, offices: int, sees: str, shares: int) -> RoleView:
        return RoleView(role, offices, sees, shares, compute_epsilon(charge, noise, shares, agreement.delta))

    views = [RoleView("outsider", 0, "addresses, sizes and times of messages", None, None)]
    if agreement.protection == "he":
        key = "each upload, by the key that every office has"
        return [
            *views,
            RoleView("hub", 0, "encrypted uploads and sums, of which it has no key", None, None),
            see("office", 1, "the sum, of which it subtracts its own upload; checksums", count - 1),
            see("coalition", 1, f"with the hub: {key}", 1),
        ]
    if not agreement.hides_uploads:
        upload = "each upload, which has all the noise"
        if agreement.theta is not None:
            upload = f"the largest {agreement.theta:.4g} of each upload, chosen when it had all the noise"
        return [*views, see("office", 1, upload, 1), see("coalition", count - 1, upload, 1)]
    views.append(see("office", 1, "the sum, of which it subtracts its own upload", count - 1))
    together = max(agreement.colluders, 1)
    if together > 1:
        views.append(
            see("coalition", together, "the sum, of which they subtract their uploads", count - together)
        )
    reading = agreement.threshold + 1
    views.append(see("coalition", reading, "each upload, from their shares of it", 1))
    return views


def attack_roles(
    workspace: Workspace,
    agreement: Agreement,
    each: ForEach = run_one_by_one,
    progress: Progress | None = None,
) -> Path:
    """Attack this office's owners with what each role has seen of a finished training, and beside it, raw.

    Results are computed from private documents without noise: they are written below the protected root and
    are a diagnostic that stays inside, so nothing is charged.

    Args:
        workspace: the workspace of this office.
        agreement: the agreement.
        each: runs the shards of the encoding.
        progress: listener for the attacks.

    Returns:
        The file with the results.

    Raises:
        AgreementError: this office has no part in it, or the training is not over.
        JointTrainingError: the record of a step was changed.
    """
    progress = progress or ignore_progress
    find_own(workspace, agreement)
    if agreement.protection == "once":
        raise AgreementError("protection once is one sum: there are no attacks on its steps")
    journal = Journal(run_folder(workspace, agreement), None)
    if (saved := find_joint_model(workspace, agreement)) is None:
        raise AgreementError("the training is not over: there is no model to audit")
    config = open_model(saved.folder, workspace.settings).config
    settings = workspace.settings.train.model_copy(
        update={"model": config.kind, "objective": config.objective}
    )
    workspace = workspace.with_settings(workspace.settings.model_copy(update={"train": settings}))
    encode(workspace, get_encoding(config.kind), each)
    split = load_split(workspace, known=config.labels)
    summing = build_summing(workspace, agreement, None, None)

    def total(step: int) -> Integers:
        evidence = journal.read(step)
        if evidence is None:
            raise AgreementError("the record of the training is not complete in this office")
        return summing.recompute(step, evidence)

    course = JointCourse(
        config, agreement.plan_steps(), agreement.plan_noise(), agreement.counted_owners, total
    )
    shares = sorted({view.shares for view in list_views(agreement) if view.shares is not None})
    steps = len(shares) + 3
    with translate_failures(agreement):
        found: dict[str, Any] = {"raw": asdict(attack_lone_owners(course, settings, split, 0))}
        progress("attacks", 1, steps)
        for number, left in enumerate(shares):
            found[f"{left} shares of noise"] = asdict(attack_lone_owners(course, settings, split, left))
            progress("attacks", 2 + number, steps)
        for name, raw in (("membership", False), ("membership of raw sums", True)):
            figures = attack_membership(course, settings, split, agreement.delta, raw=raw)
            found[name] = None if figures is None else asdict(figures)
        progress("attacks", steps, steps)
    note = "Measured on private documents, without noise: it stays inside."
    path = workspace.protected / "audits" / f"{saved.name}-roles.json"
    content = {"note": note, "model": saved.name, **found}
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), mode=0o600)
    return path
