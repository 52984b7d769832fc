"""The agreement of several offices on one training: a file that each office checks, signs and is held to."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lexveil.nlp.encoders.config import Kind, Objective
from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.once import check_once
from lexveil.pipeline.joint.scores import OfficeScore, weigh
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.joint.noise import SharedNoise, Sharing, plan_noise
from lexveil.privacy.joint.signing import Certificate

if TYPE_CHECKING:
    from lexveil.privacy.he.sums import SumScheme

Protection = Literal["sum", "office", "once", "cyclic", "he"]
# An IPv6 address stands in brackets.
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\s\[\]]+)):(?P<port>[0-9]{1,5})")
_HIDING: tuple[Protection, ...] = ("sum", "once")
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Number = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Offer = TypeVar("Offer", bound="Party")
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def split_address(address: str) -> tuple[str, int]:
    """Return the host and port of a party.

    Raises:
        AgreementError: it has no such.
    """
    found = _ADDRESS.fullmatch(address)
    try:
        if found is not None and 0 < int(found["port"]) < 2**16:
            host = found["host"] or str(IPv6Address(found["six"]))
            return host, int(found["port"])
    except ValueError:
        pass
    raise AgreementError(
        "an address is host:port, with a port from 1 to 65535; an IPv6 address stands in brackets"
    )


def _check_address(address: str) -> str:
    try:
        split_address(address)
    except AgreementError:
        raise ValueError("no address") from None
    return address


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Setup(_Record):
    """What must be the same in every office.

    Attributes:
        kind: kind of the model.
        objective: what it learns.
        labels: names of the classes, in the order of its outputs; they count as public.
        weights: number of weights that are trained.
        model: digest of the model's configuration, the public encoder's weights included.
        masking: digest of the settings of masking.
        max_items_per_owner: the most documents or chunks that an owner contributes.
        unit: what the guarantee protects as one.
    """

    kind: Kind
    objective: Objective
    labels: tuple[str, ...] = Field(repr=False)
    weights: Annotated[int, Field(gt=0)]
    model: Digest
    masking: Digest
    max_items_per_owner: Annotated[int, Field(gt=0)]
    unit: Literal["owner", "document"]


class Party(_Record):
    """An office or a hub, as it shows itself before there is an agreement.

    Attributes:
        name: its name.
        address: host and port at which it listens.
        certificate: its certificate, PEM.
    """

    name: Name
    address: Annotated[str, AfterValidator(_check_address)]
    certificate: str = Field(repr=False)
    role: ClassVar[str] = "office"

    @property
    def parsed(self) -> Certificate:
        """The certificate.

        Raises:
            AgreementError: it is damaged.
        """
        try:
            return Certificate.from_pem(self.certificate.encode())
        except ValueError:
            raise AgreementError(f"the certificate of {self.role} {self.name} is damaged") from None


class OfficeOffer(Party):
    """What an office shows before there is an agreement.

    Attributes:
        owners: number of owners that it trains on, which counts as public.
        setup: what it would train.
        score: how well its labels fit, released with noise; None: it has released no such score.
    """

    owners: Annotated[int, Field(ge=1)]
    setup: Setup
    score: OfficeScore | None = None


class HubOffer(Party):
    """What a hub shows before there is an agreement: it adds what offices have encrypted."""

    role: ClassVar[str] = "hub"


class Agreement(_Record):
    """What offices have agreed on. Its digest is in every signature.

    Attributes:
        version: version of this format.
        number: drawn at random, so that no signature of another run holds in this one.
        offices: the offices, in the order of their indices.
        protection: "sum": the sum of all uploads alone is opened; "office": each upload, with all the noise;
            "once": as "sum", in one step of class sums (`once`); "cyclic": one office after the other takes
            a step, with all the noise; "he": the sum, which a hub adds that reads nothing, with all the
            noise in each upload.
        colluders: where the sum alone is opened: number of offices that may tell each other what they see.
        offices_per_owner: the most offices in which one owner has documents.
        epsilon: largest epsilon of the run.
        delta: its delta.
        noise_multiplier: noise in units of what one owner can move the sum by.
        max_grad_norm: L2 norm to which each office clips an owner's gradient.
        sample_rate: probability with which an office draws each of its owners for a step.
        steps: number of steps of the run; with "cyclic", of all offices together.
        learning_rate: step size along the noisy mean gradient.
        hub: with "he": who adds.
        sum_key: with "he": digest of the key that every office has.
        theta: with "office" and "cyclic": share of the entries of an upload that is sent, its largest ones
            with their noise; None: all.
    """

    version: Literal[1] = 1
    number: Number
    offices: Annotated[tuple[OfficeOffer, ...], Field(min_length=2, max_length=64)]
    protection: Protection
    colluders: Annotated[int, Field(ge=0)]
    offices_per_owner: Annotated[int, Field(ge=1)]
    epsilon: Positive
    delta: Annotated[float, Field(gt=0, lt=1)]
    noise_multiplier: Positive
    max_grad_norm: Positive
    sample_rate: Annotated[float, Field(gt=0, le=1)]
    steps: Annotated[int, Field(gt=0)]
    learning_rate: Positive
    hub: HubOffer | None = None
    sum_key: Number | None = None
    theta: Annotated[float, Field(gt=0, lt=1)] | None = None

    @property
    def digest(self) -> bytes:
        """Digest of everything in it, 32 bytes."""
        return hashlib.sha256(self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Return the agreement as the bytes that are signed."""
        content = self.model_dump(mode="json", exclude_none=True)  # agreements without these are as before
        return json.dumps(content, sort_keys=True, indent=1).encode() + b"\n"

    @property
    def parties(self) -> tuple[Party, ...]:
        """All who sign: the offices, and the hub as the last one."""
        return self.offices if self.hub is None else (*self.offices, self.hub)

    @property
    def setup(self) -> Setup:
        """What is the same in every office."""
        return self.offices[0].setup

    @property
    def owners(self) -> int:
        """Number of owners of all offices."""
        return sum(office.owners for office in self.offices)

    @property
    def weights(self) -> tuple[float, ...]:
        """What the owners of each office count in the sum, in [0, 1]; 1 where offices have no scores."""
        return weigh([office.score for office in self.offices])

    @property
    def counted_owners(self) -> int:
        """Number of owners of all offices, each as far as it counts."""
        return count_owners(self.offices)

    @property
    def hides_uploads(self) -> bool:
        """True if the sum of all uploads alone is opened."""
        return self.protection in _HIDING

    @property
    def sharing(self) -> Sharing:
        """Whose noise counts: each office's own alone, unless the sum alone is opened.

        Raises:
            ValueError: the numbers do not fit together.
        """
        count = len(self.offices)
        colluders = self.colluders if self.hides_uploads else count - 1
        # In turns, the offices of one owner draw it in different steps.
        return Sharing(count, colluders, 1 if self.protection == "cyclic" else self.offices_per_owner)

    def list_turns(self, index: int) -> range:
        """Return the steps in which an office has an upload."""
        return (
            range(index, self.steps, len(self.offices)) if self.protection == "cyclic" else range(self.steps)
        )

    @property
    def entries(self) -> int:
        """Number of entries of an upload that are sent."""
        weights = self.setup.weights
        return weights if self.theta is None else math.ceil(self.theta * weights)

    @property
    def threshold(self) -> int:
        """Number of offices that learn nothing but the sum from shares of uploads."""
        return (len(self.offices) - 1) // 2

    def plan_noise(self) -> SharedNoise:
        """Return the grid and each office's share of the noise.

        Raises:
            ValueError: there are no such.
        """
        return plan_noise(self.noise_multiplier, self.max_grad_norm, self.setup.weights, self.sharing)

    def plan_scheme(self) -> SumScheme:
        """Return how uploads are encrypted with "he".

        Raises:
            ValueError: the sums are too large to be encrypted.
        """
        from lexveil.privacy.joint.encrypted import plan_scheme

        return plan_scheme(self.plan_noise(), self.setup.weights, self.owners, len(self.offices))

    def plan_steps(self) -> TrainingPlan:
        """Return the plan of the training loop.

        Raises:
            ValueError: a number is out of range.
        """
        return TrainingPlan(
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=self.max_grad_norm,
            sample_rate=self.sample_rate,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )

    def plan_charge(self) -> TrainingPlan:
        """Return the plan as each office's ledger charges it.

        Formal guarantee:
            What leaves an office is (epsilon, delta)-DP for each of its owners, with the epsilon of this
            plan, as docs/joint-training.md derives it. In turns, an owner is in the steps of its offices
            only: those of one office, times the number of offices that it may be in.
        """
        turns = self.steps
        if self.protection == "cyclic":
            turns = self.steps // len(self.offices) * self.offices_per_owner
        return replace(
            self.plan_steps(),
            noise_multiplier=self.plan_noise().noise_multiplier,
            sample_rate=self.sharing.sample_rate(self.sample_rate),
            steps=turns,
        )

    def describe(self) -> str:
        """Return the protection in one line, for the model's card."""
        if self.theta is None:
            return self._describe_protection()
        return (
            f"{self._describe_protection()}; the largest {self.theta:.4g} of each noisy upload is sent, "
            "which guarantees nothing further"
        )

    def _describe_protection(self) -> str:
        count = len(self.offices)
        if self.protection == "office":
            return f"{count} offices; each adds all the noise, so no other office is trusted"
        if self.protection == "cyclic":
            return f"{count} offices in turns; each adds all the noise, so no other office is trusted"
        if self.protection == "he":
            return (
                f"{count} offices and a hub that has no key; each office adds all the noise, so neither "
                "another office nor the hub is trusted"
            )
        opened = "one sum" if self.protection == "once" else "the sum"
        if not self.colluders:
            return (
                f"{count} offices; {opened} alone is opened; epsilon is that of what is opened: an office "
                "that subtracts its own noise is left with less"
            )
        return (
            f"{count} offices; {opened} alone is opened; epsilon holds against {self.colluders} that collude"
        )

    def check(self) -> None:
        """Check all that can be checked without an office.

        Raises:
            AgreementError: something does not hold; the message says what.
        """
        if len({party.name for party in self.parties}) < len(self.parties):
            raise AgreementError("two offices of the agreement have one name")
        if len({party.parsed.der for party in self.parties}) < len(self.parties):
            raise AgreementError("two offices of the agreement have one certificate")
        # With "he" the hub alone listens, else all but the first office.
        called = [] if self.protection == "he" else [office.address for office in self.offices[1:]]
        if len(set(called)) < len(called):
            raise AgreementError("two offices of the agreement have one address")
        if different := [office.name for office in self.offices if office.setup != self.setup]:
            raise AgreementError(
                f"office {different[0]} would train something else than office {self.offices[0].name}: "
                "model, classes, encoder, masking, unit and max_items_per_owner must be the same"
            )
        self._check_scores()
        self._check_protection()
        try:
            spent = self.plan_charge().epsilon(self.delta)
        except ValueError as error:
            raise AgreementError(f"the agreement's numbers are impossible: {error}") from None
        if spent > self.epsilon:
            raise AgreementError(
                f"the agreement's noise gives epsilon {spent:.4g}, it says {self.epsilon:.4g}"
            )

    def _check_scores(self) -> None:
        scored = [office.score is not None for office in self.offices]
        if any(scored) and not all(scored):
            lacking = self.offices[scored.index(False)].name
            raise AgreementError(
                f"office {lacking} has no score, and others have: make its offer with --score EPSILON"
            )
        if any(scored) and self.offices_per_owner > 1:
            raise AgreementError("an owner in several offices would be in several scores: offer without them")

    def _check_protection(self) -> None:
        count = len(self.offices)
        if self.hides_uploads and self.threshold < 1:
            raise AgreementError("two offices cannot hide a sum from each other: use --protection office")
        if self.hides_uploads and self.colluders > self.threshold:
            raise AgreementError(
                f"of {count} offices at most {self.threshold} may collude with protection {self.protection}, "
                f"found {self.colluders}; protection office trusts no other office"
            )
        if self.protection == "once":
            check_once(self.setup.kind, self.setup.objective)
            if (self.steps, self.sample_rate) != (1, 1.0):
                raise AgreementError("protection once is one step that draws every owner")
        if {self.hub is not None, self.sum_key is not None} != {self.protection == "he"}:
            raise AgreementError(
                "protection he, and no other, needs a hub's offer and the key that every office has"
            )
        if self.protection == "he":
            try:
                self.plan_scheme()
            except ValueError as error:
                raise AgreementError(f"protection he cannot add these sums: {error}") from None
        if self.theta is not None and self.protection not in ("office", "cyclic"):
            raise AgreementError(
                "theta is for protections office and cyclic: only there has an upload all the noise when its "
                "largest entries are chosen"
            )
        if self.protection == "cyclic" and (self.steps % count or self.offices_per_owner > count):
            raise AgreementError(
                "protection cyclic gives each office as many turns, and an owner no more offices"
            )


def count_owners(offers: Sequence[OfficeOffer]) -> int:
    """Return the number of owners of all offices, each as far as it counts; at least 1."""
    weights = weigh([offer.score for offer in offers])
    return max(1, round(sum(one * offer.owners for one, offer in zip(weights, offers, strict=True))))


def read_agreement(path: Path) -> Agreement:
    """Read an agreement, and check all that can be checked without an office.

    Raises:
        AgreementError: it cannot be read, or something in it does not hold.
    """
    try:
        agreement = Agreement.model_validate_json(path.read_bytes())
    except OSError:
        raise AgreementError("the agreement's file cannot be read") from None
    except ValidationError as error:
        raise AgreementError(f"the agreement is damaged: {locate_fault(error)}") from None
    agreement.check()
    return agreement


def read_offer(path: Path) -> OfficeOffer:
    """Read an office's offer.

    Raises:
        AgreementError: it cannot be read.
    """
    return _read_offer(path, OfficeOffer)


def read_hub_offer(path: Path) -> HubOffer:
    """Read a hub's offer.

    Raises:
        AgreementError: it cannot be read.
    """
    return _read_offer(path, HubOffer)


def _read_offer(path: Path, kind: type[Offer]) -> Offer:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError:
        raise AgreementError("an offer's file cannot be read") from None
    except ValidationError as error:
        raise AgreementError(f"an offer is damaged: {locate_fault(error)}") from None


def locate_fault(error: ValidationError) -> str:
    """Name the first field that is wrong, without its value."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "its form"
    return f"{place} is not as it must be"
