"""A joint training on one machine: records are dealt out to offices that are workspaces of their own."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import AgreementError, JointTrainingError, SettingsError
from lexveil.pipeline.joint.agreement import Protection, read_agreement
from lexveil.pipeline.joint.drafting import draft_agreement
from lexveil.pipeline.joint.hub import make_hub_offer
from lexveil.pipeline.joint.identity import make_sum_key, read_sum_key
from lexveil.pipeline.joint.office import (
    describe_run,
    find_joint_model,
    have_equal_weights,
    make_offer,
    sign_agreement,
)
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.request import prepare_workspace
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.files import write_atomically

_RECORDS = "records.jsonl"
_AGREEMENT, _KEY, _HUB = "agreement.json", "sums.key", "hub"


def prepare_rehearsal(
    source: Path,
    folder: Path,
    settings: Settings,
    offices: int,
    protection: Protection,
    colluders: int,
    score_epsilon: float | None = None,
    theta: float | None = None,
) -> tuple[Path, list[Path]]:
    """Deal out the records of a file by owner, and prepare an agreement that all offices have signed.

    Args:
        source: file of records, JSON lines.
        folder: folder to make the workspaces in; one that was prepared before is used as it is.
        settings: settings of every office.
        offices: number of offices.
        protection: what is opened.
        colluders: number of offices that may tell each other what they see.
        score_epsilon: epsilon of each office's score; None: no scores.
        theta: share of the entries of an upload that is sent, its largest ones; None: all.

    Returns:
        The file of the agreement, and the folders of the workspaces.

    Raises:
        UserError: the records or the settings cannot be used.
    """
    workspaces = [folder / f"office-{index + 1}" for index in range(offices)]
    agreement = folder / _AGREEMENT
    if agreement.exists():
        if len(read_agreement(agreement).offices) != offices:
            raise AgreementError("the folder has a rehearsal of another number of offices: name a new one")
        return agreement, workspaces
    parts = _deal_out(source, folder, settings, offices)
    ports = _find_ports(offices + 1)
    opened = [
        _prepare_office(location, settings, part) for location, part in zip(workspaces, parts, strict=True)
    ]
    offers = [
        make_offer(workspace, location.name, f"127.0.0.1:{port}", score_epsilon=score_epsilon)
        for workspace, location, port in zip(opened, workspaces, ports, strict=False)
    ]
    hub = key = digest = opened_hub = None
    if protection == "he":
        key = folder / _KEY
        key.unlink(missing_ok=True)  # of a rehearsal that was stopped before there was an agreement
        make_sum_key(key)
        _, digest = read_sum_key(key)
        opened_hub = Workspace.create_or_open(folder / _HUB, settings)
        hub = make_hub_offer(opened_hub, _HUB, f"127.0.0.1:{ports[-1]}")
    drafted = draft_agreement(
        offers, settings.train, protection, colluders, hub=hub, sum_key=digest, theta=theta
    )
    for workspace in opened:
        sign_agreement(workspace, drafted, key)
    if opened_hub is not None:
        sign_agreement(opened_hub, drafted)
    write_atomically(agreement, drafted.to_bytes())
    return agreement, workspaces


def find_hub(agreement: Path) -> Path | None:
    """Return the folder of the workspace of a rehearsal's hub; None: it has none."""
    return agreement.parent / _HUB if read_agreement(agreement).hub is not None else None


def summarize_rehearsal(agreement: Path, workspaces: Sequence[Path], settings: Settings) -> dict[str, Any]:
    """Return what the offices have trained, after checking that it is the same everywhere.

    Raises:
        JointTrainingError: two offices have different models.
    """
    agreed = read_agreement(agreement)
    opened = [Workspace.open(location, settings) for location in workspaces]
    saved = [model for one in opened if (model := find_joint_model(one, agreed)) is not None]
    models = [open_model(one.folder, settings) for one in saved]
    if len(models) < len(opened) or not all(have_equal_weights(models[0], other) for other in models[1:]):
        raise JointTrainingError("the offices do not have the same model")
    described = describe_run(opened[0], agreed)
    del described["office"], described["signed"], described["trained"]
    return described | {"model": saved[0].name, "same_model_in_all_offices": True}


def _prepare_office(location: Path, settings: Settings, part: Path) -> Workspace:
    workspace = prepare_workspace(location, settings, [part], need_labels=True)
    ingest(workspace, [part])
    mask(workspace)
    return workspace


def _deal_out(source: Path, folder: Path, settings: Settings, offices: int) -> list[Path]:
    """Write each office's records to a file; all records of an owner go to one office.

    Raises:
        SettingsError: there is no owner field, or the file has no records of owners.
    """
    name = settings.ingest.owner_field
    if name is None:
        raise SettingsError("a rehearsal deals out records by owner: name the field with --owner-field")
    dealt: list[list[str]] = [[] for _ in range(offices)]
    try:
        for line in source.read_text(encoding="utf-8").splitlines():
            owner = str(json.loads(line)[name])
            dealt[int(hashlib.sha256(owner.encode()).hexdigest(), 16) % offices].append(line)
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingsError(
            "a rehearsal reads a file of JSON lines in which each record has the owner field"
        ) from None
    if not all(dealt):
        raise SettingsError(f"there are too few owners for {offices} offices")
    parts = [folder / f"office-{index + 1}.records" / _RECORDS for index in range(offices)]
    for part, lines in zip(parts, dealt, strict=True):
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return parts


def _find_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()
