"""The hub of a joint training with protection he: it adds what offices have encrypted, and reads nothing."""

from __future__ import annotations

from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.agreement import Agreement, HubOffer
from lexveil.pipeline.joint.identity import (
    build_summing,
    connect,
    exchange_consent,
    find_party,
    has_consented,
    load_signer,
    open_certificate,
    run_folder,
    translate_failures,
)
from lexveil.pipeline.joint.notes import RunNotes
from lexveil.pipeline.joint.views import TrafficLog
from lexveil.pipeline.logs import log
from lexveil.pipeline.records import Progress, ignore_progress
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.mesh import CannotListenError, OfficeLeftError
from lexveil.privacy.joint.offices import catch_up, compare_records

# A hub with all steps waits so long for offices that may lack some.
_HAND_OVER_SECONDS = 60.0


def make_hub_offer(workspace: Workspace, name: str, address: str) -> HubOffer:
    """Return what a hub shows to the offices before there is an agreement.

    Args:
        workspace: the workspace of the hub, which has no documents.
        name: name of the hub.
        address: host and port at which it will listen.

    Raises:
        AgreementError: name or address cannot be used.
    """
    certificate = open_certificate(workspace, name)
    try:
        return HubOffer(name=name, address=address, certificate=certificate)
    except ValueError:
        raise AgreementError(
            "a hub's name has small letters, digits and hyphens, and its address is host:port, with a port "
            "from 1 to 65535"
        ) from None


def run_hub(
    workspace: Workspace,
    agreement: Agreement,
    progress: Progress | None = None,
    patience: float = 600.0,
    listen: str | None = None,
) -> int:
    """Add the uploads of a training, and hand on what offices say to all; return the number of new steps.

    Args:
        workspace: the workspace of the hub.
        agreement: the agreement, signed here.
        progress: listener for the steps.
        patience: seconds to wait for an office.
        listen: host and port to listen at; None: the address of the offer.

    Raises:
        AgreementError: this is not the hub of the agreement, or it has not signed.
        JointTrainingError: an office has left, or has sent what it may not.

    Formal guarantee:
        That of `EncryptedSumming` for the hub: no key and no document is in this workspace.
    """
    index, folder = find_party(workspace, agreement), run_folder(workspace, agreement)
    if agreement.hub is None or index < len(agreement.offices):
        raise AgreementError("this is an office of the agreement and not its hub: lexveil join train")
    if not has_consented(folder):
        raise AgreementError("this hub has not signed the agreement: lexveil join sign")
    notes, journal = RunNotes(folder), Journal(folder, None)
    notes.begin("hub")
    if notes.is_settled():
        return 0
    complete = journal.count() >= agreement.steps
    if complete:
        patience = min(patience, _HAND_OVER_SECONDS)
    with translate_failures(agreement):
        try:
            kept, opening = TrafficLog(folder), connect(workspace, agreement, index, patience, listen)
            with kept.record(opening) as star:
                exchange_consent(star, folder, agreement)
                summing = build_summing(workspace, agreement, star, load_signer(workspace))
                follow = kept.follow(star, progress or ignore_progress)
                done = catch_up(star, journal, summing, agreement.steps)
                for step in range(done, agreement.steps):
                    _, evidence = summing.add_up(step, None)
                    journal.keep(step, evidence)
                    follow("train", step + 1, agreement.steps)
                compare_records(star, journal, agreement.steps)
                notes.note(settled=True)
        except (OfficeLeftError, CannotListenError):
            if not complete:  # else the offices may have all steps, too, and need nobody
                raise
            log.warning(
                "this hub has all steps, and not every office has asked for any: if one lacks some, give the "
                "command at the hub and in every office again"
            )
            return 0
    return agreement.steps - done
