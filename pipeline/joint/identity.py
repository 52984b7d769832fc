"""Who an office is: its certificate and key, its signature under an agreement, and its connections."""

from __future__ import annotations

import datetime
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lexveil.pipeline.errors import AgreementError, JointTrainingError, TrainingRefusedError
from lexveil.pipeline.joint.agreement import Agreement, check_address
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.files import write_atomically
from lexveil.privacy.joint.mesh import (
    CannotListenError,
    Identity,
    Mesh,
    MessageRefusedError,
    OfficeLeftError,
    Peer,
)
from lexveil.privacy.joint.offices import RecordsDifferError
from lexveil.privacy.joint.secret_sharing import InconsistentSharesError, JoinExtraMissingError
from lexveil.privacy.joint.signing import ForgedError, Place, Signer
from lexveil.privacy.joint.summing import (
    EquivocationError,
    OpenSumming,
    Parties,
    SecretSumming,
    Summing,
    UploadRefusedError,
    bound_upload,
)

_AGREED, _CONSENT = "agreement", "consent"
# The longest message is the record of a step: the shares of all offices, and their signed lists.
_MOST_BYTES_PER_WEIGHT, _MOST_BYTES_BESIDE, _LEAST_ALLOWANCE = 64, 2**13, 2**24
_GO_ON = "give the command again in every office: it goes on, and is charged once"


def find_own(workspace: Workspace, agreement: Agreement) -> int:
    """Return the index of this office: that of its certificate.

    Raises:
        AgreementError: it is not in the agreement.
    """
    path = _identity_folder(workspace) / "certificate.pem"
    mine = path.read_text() if path.exists() else None
    for index, office in enumerate(agreement.offices):
        if office.certificate == mine:
            return index
    raise AgreementError("this office's certificate is not in the agreement: make an offer with it first")


def _identity_folder(workspace: Workspace) -> Path:
    return workspace.local / "joint"


def run_folder(workspace: Workspace, agreement: Agreement) -> Path:
    """Return the folder of what this office keeps of a joint training."""
    return _identity_folder(workspace) / agreement.digest.hex()[:32]


def _password(workspace: Workspace) -> bytes:
    return workspace.keys.purpose_key("joint-identity").hex().encode()


def open_certificate(workspace: Workspace, name: str) -> str:
    """Return this office's certificate, PEM; it is made with its key at first use."""
    folder = _identity_folder(workspace)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        signer = Signer.create()
        write_atomically(key, signer.to_pem(_password(workspace)))
        write_atomically(certificate, signer.certify(name, datetime.datetime.now(datetime.UTC)))
    return certificate.read_text()


def load_signer(workspace: Workspace) -> Signer:
    """Return the key with which this office signs."""
    return Signer.from_pem((_identity_folder(workspace) / "key.pem").read_bytes(), _password(workspace))


def connect(
    workspace: Workspace, agreement: Agreement, index: int, patience: float, listen: str | None = None
) -> Mesh:
    """Return the connections to the other offices, which `with` opens.

    Args:
        workspace: the workspace of this office.
        agreement: the agreement.
        index: index of this office.
        patience: seconds to wait for another office.
        listen: host and port to listen at, where the address of the offer is not this machine's own; None:
            that address.

    Raises:
        AgreementError: `listen` is no host and port.
    """
    if listen is not None:
        check_address(listen)
    folder = _identity_folder(workspace)
    identity = Identity(index, folder / "certificate.pem", folder / "key.pem", _password(workspace))
    addresses = [office.address for office in agreement.offices]
    addresses[index] = listen or addresses[index]
    peers: list[Peer] = []
    for office, address in zip(agreement.offices, addresses, strict=True):
        host, _, port = address.rpartition(":")
        peers.append(Peer(office.name, host, int(port), office.parsed.der))
    longest = len(peers) * (_MOST_BYTES_PER_WEIGHT * agreement.setup.weights + _MOST_BYTES_BESIDE)
    return Mesh(identity, peers, patience, max(longest, _LEAST_ALLOWANCE))


def sign_consent(workspace: Workspace, agreement: Agreement, index: int) -> None:
    """Sign the agreement, and keep the signature."""
    folder = run_folder(workspace, agreement)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signed = load_signer(workspace).sign(_place_of_consent(agreement, index), agreement.to_bytes())
    write_atomically(folder / _CONSENT, signed)


def has_consented(folder: Path) -> bool:
    """Return True if this office has signed the agreement of a run's folder."""
    return (folder / _CONSENT).exists()


def _place_of_consent(agreement: Agreement, index: int) -> Place:
    return Place(agreement.digest, _AGREED, 0, index)


def exchange_consent(mesh: Mesh | None, folder: Path, agreement: Agreement) -> None:
    """Exchange the signatures under the agreement, and keep them; without a mesh, check those that were kept.

    Raises:
        ForgedError: an office has not signed this agreement.
    """
    paths = [folder / f"{_CONSENT}.{index}" for index in range(len(agreement.offices))]
    if mesh is None:
        consents = [path.read_bytes() if path.exists() else b"" for path in paths]
    else:
        consents = mesh.exchange(
            [(folder / _CONSENT).read_bytes()] * len(paths), "signature under the agreement"
        )
    for index, (office, signed) in enumerate(zip(agreement.offices, consents, strict=True)):
        office.parsed.open(_place_of_consent(agreement, index), signed)
        if mesh is not None:
            write_atomically(paths[index], signed)


def build_summing(agreement: Agreement, mesh: Mesh | None, signer: Signer | None) -> Summing:
    """Return how the uploads of the agreed training are added up; without mesh and key, to recompute only."""
    noise, weights = agreement.plan_noise(), agreement.setup.weights
    certificates = tuple(office.parsed for office in agreement.offices)
    parties = Parties(agreement.digest, certificates, weights)
    bounds = [
        bound_upload(noise, weights, office.owners, agreement.sharing.offices_per_owner)
        for office in agreement.offices
    ]
    if agreement.hides_uploads:
        return SecretSumming(parties, bounds, agreement.threshold, mesh, signer)
    return OpenSumming(parties, bounds, mesh, signer, in_turns=agreement.protection == "cyclic")


@contextmanager
def translate_failures(agreement: Agreement) -> Generator[None]:
    """Say in one line which office has left, or has sent what it may not.

    Raises:
        JointTrainingError: one has.
        TrainingRefusedError: the extra is not installed.
    """
    try:
        yield
    except JoinExtraMissingError as error:
        raise TrainingRefusedError(str(error)) from None
    except CannotListenError as error:
        raise JointTrainingError(str(error)) from None
    except OfficeLeftError as error:
        raise JointTrainingError(f"{error}; {_GO_ON}") from None
    except (InconsistentSharesError, RecordsDifferError) as error:
        raise JointTrainingError(str(error)) from None
    except (ForgedError, UploadRefusedError, EquivocationError, MessageRefusedError) as error:
        raise JointTrainingError(f"office {agreement.offices[error.office].name}: {error}") from None
