"""Who an office is: its certificate and key, its signature under an agreement, and its connections."""

from __future__ import annotations

import datetime
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lexveil.pipeline.errors import AgreementError, JointTrainingError, TrainingRefusedError
from lexveil.pipeline.joint.agreement import Agreement, split_address
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
from lexveil.privacy.joint.star import Connections, Star
from lexveil.privacy.joint.summing import (
    EquivocationError,
    OpenSumming,
    Parties,
    SecretSumming,
    Summing,
    SumRefusedError,
    UploadRefusedError,
    bound_upload,
)
from lexveil.privacy.vault import seal, unseal

_AGREED, _CONSENT, _SUM_KEY = "agreement", "consent", "joint-sum-key"
# The longest message is the record of a step: the shares of all offices, and their signed lists.
_MOST_BYTES_PER_WEIGHT, _MOST_BYTES_BESIDE, _LEAST_ALLOWANCE = 64, 2**13, 2**24


def find_own(workspace: Workspace, agreement: Agreement) -> int:
    """Return the index of this office: that of its certificate.

    Raises:
        AgreementError: it is not in the agreement, or is the hub.
    """
    index = find_party(workspace, agreement)
    if index == len(agreement.offices):
        raise AgreementError("this is the hub of the agreement, which has no documents: lexveil join hub")
    return index


def find_party(workspace: Workspace, agreement: Agreement) -> int:
    """Return the index of this office, or of the hub: it comes after all offices.

    Raises:
        AgreementError: its certificate is not in the agreement.
    """
    path = _identity_folder(workspace) / "certificate.pem"
    mine = path.read_text() if path.exists() else None
    for index, party in enumerate(agreement.parties):
        if party.certificate == mine:
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
) -> Connections:
    """Return the connections to the other offices, or to the hub, which `with` opens.

    Args:
        workspace: the workspace of this office.
        agreement: the agreement.
        index: index of this party.
        patience: seconds to wait for another office.
        listen: host and port to listen at, where the address of the offer is not this machine's own; None:
            that address.

    Raises:
        AgreementError: `listen` is no host and port.
    """
    folder = _identity_folder(workspace)
    identity = Identity(index, folder / "certificate.pem", folder / "key.pem", _password(workspace))
    addresses = [party.address for party in agreement.parties]
    addresses[index] = listen or addresses[index]
    peers = [
        Peer(party.name, *split_address(address), party.parsed.der, party.role)
        for party, address in zip(agreement.parties, addresses, strict=True)
    ]
    longest = len(peers) * (_MOST_BYTES_PER_WEIGHT * agreement.setup.weights + _MOST_BYTES_BESIDE)
    hub = len(agreement.offices)
    others = None if agreement.hub is None or index == hub else [hub]
    mesh = Mesh(identity, peers, patience, max(longest, _LEAST_ALLOWANCE), others)
    return mesh if agreement.hub is None else Star(mesh)


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


def exchange_consent(mesh: Connections | None, folder: Path, agreement: Agreement) -> None:
    """Exchange the signatures under the agreement, and keep them; without a mesh, check those that were kept.

    Raises:
        ForgedError: an office has not signed this agreement.
    """
    paths = [folder / f"{_CONSENT}.{index}" for index in range(len(agreement.parties))]
    if mesh is None:
        consents = [path.read_bytes() if path.exists() else b"" for path in paths]
    else:
        consents = mesh.exchange(
            [(folder / _CONSENT).read_bytes()] * len(paths), "signature under the agreement"
        )
    for index, (party, signed) in enumerate(zip(agreement.parties, consents, strict=True)):
        party.parsed.open(_place_of_consent(agreement, index), signed)
        if mesh is not None:
            write_atomically(paths[index], signed)


def make_sum_key(path: Path) -> None:
    """Write a fresh key for the sums of an agreement with protection he to a new file of mode 0600.

    Raises:
        AgreementError: there is such a file.
    """
    from lexveil.privacy.he.sums import SumKeys

    try:
        write_atomically(path, SumKeys.generate().to_bytes(), overwrite=False)
    except FileExistsError:
        raise AgreementError("there is such a file: a key is never overwritten") from None


def read_sum_key(path: Path) -> tuple[bytes, str]:
    """Return a key of sums, and its digest.

    Raises:
        AgreementError: it cannot be read.
    """
    from lexveil.privacy.he.sums import digest_key

    try:
        content = path.read_bytes()
    except OSError:
        raise AgreementError("the file of the key cannot be read") from None
    return content, digest_key(content)


def keep_sum_key(workspace: Workspace, agreement: Agreement, path: Path | None) -> None:
    """Keep the key of an agreement's sums in this office, sealed; without a file, check that it is kept.

    Raises:
        AgreementError: it is another key, or there is none.
    """
    kept = _sum_key_path(workspace, agreement)
    if path is None:
        if agreement.sum_key is not None and not kept.exists():
            raise AgreementError(
                "the offices of this agreement have a key together: name its file, --key FILE"
            )
        return
    content, digest = read_sum_key(path)
    if digest != agreement.sum_key:
        raise AgreementError("this is not the key of the agreement")
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(kept, seal(workspace.keys.purpose_key(_SUM_KEY), content, _SUM_KEY))


def _sum_key_path(workspace: Workspace, agreement: Agreement) -> Path:
    return _identity_folder(workspace) / f"{(agreement.sum_key or '')[:32]}.sum-key"


def build_summing(
    workspace: Workspace, agreement: Agreement, mesh: Connections | None, signer: Signer | None
) -> Summing:
    """Return how the uploads of the agreed training are added up; without mesh and key, to recompute only."""
    noise, weights = agreement.plan_noise(), agreement.setup.weights
    certificates = tuple(party.parsed for party in agreement.parties)
    parties = Parties(agreement.digest, certificates, weights)
    bounds = [
        bound_upload(noise, weights, weight * office.owners, agreement.sharing.offices_per_owner)
        for office, weight in zip(agreement.offices, agreement.weights, strict=True)
    ]
    if agreement.protection == "he":
        from lexveil.privacy.he.sums import SumKeys
        from lexveil.privacy.joint.encrypted import EncryptedSumming

        keys = None
        if find_party(workspace, agreement) < len(agreement.offices):
            sealed = _sum_key_path(workspace, agreement).read_bytes()
            keys = SumKeys(unseal(workspace.keys.purpose_key(_SUM_KEY), sealed, _SUM_KEY))
        assert mesh is None or isinstance(mesh, Star)
        return EncryptedSumming(parties, bounds, agreement.plan_scheme(), keys, mesh, signer)
    assert mesh is None or isinstance(mesh, Mesh)
    if agreement.hides_uploads:
        return SecretSumming(
            parties, bounds, agreement.threshold, mesh, signer, colluders=agreement.colluders
        )
    in_turns = agreement.protection == "cyclic"
    return OpenSumming(parties, bounds, mesh, signer, in_turns=in_turns, entries=agreement.entries)


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
        where = "in every office" if agreement.hub is None else "in every office and at the hub"
        raise JointTrainingError(
            f"{error}; give the command again {where}: it goes on, and is charged once"
        ) from None
    except RecordsDifferError as error:
        raise JointTrainingError(str(error)) from None
    except SumRefusedError as error:
        office, hub = error.lacking, agreement.parties[-1]
        lacks = "" if office is None else f", it lacks that of {agreement.parties[office].name}"
        raise JointTrainingError(
            f"hub {hub.name}: {error}{lacks}: the hub or an office has not followed the protocol"
        ) from None
    except (
        ForgedError,
        UploadRefusedError,
        EquivocationError,
        MessageRefusedError,
        InconsistentSharesError,
    ) as error:
        if error.office is None:
            raise JointTrainingError(str(error)) from None
        party = agreement.parties[error.office]
        raise JointTrainingError(f"{party.role} {party.name}: {error}") from None
