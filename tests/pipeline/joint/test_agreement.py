"""An agreement holds what it says, or is refused with one line that says what does not hold."""

from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.agreement import (
    Agreement,
    HubOffer,
    OfficeOffer,
    Setup,
    read_agreement,
    read_hub_offer,
    read_offer,
    split_address,
)
from lexveil.pipeline.joint.drafting import draft_agreement
from lexveil.pipeline.joint.roles import list_views
from lexveil.pipeline.joint.scores import OfficeScore
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.training.recipes import plan_training
from lexveil.privacy.joint.signing import Signer

SETUP = Setup(
    kind="linear", objective="classify", labels=("lease", "loan"), weights=770, model="a" * 32,
    masking="b" * 32, max_items_per_owner=64, unit="owner",
)  # fmt: skip
NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)


def offer(index: int, owners: int = 100, changes: dict[str, Any] | None = None) -> OfficeOffer:
    name = f"court-{index}"
    pem = Signer.create().certify(name, NOW).decode()
    setup = SETUP.model_copy(update=changes or {})
    return OfficeOffer(
        name=name, address=f"127.0.0.1:{7000 + index}", certificate=pem, owners=owners, setup=setup
    )


OFFERS = [offer(index, 100 + index) for index in range(5)]


def draft(
    *, offices: int = 5, protection: Any = "sum", colluders: int = 0, k: int = 1, **train: Any
) -> Agreement:
    settings = TrainSettings(**{"delta": 1e-4, **train})
    return draft_agreement(OFFERS[:offices], settings, protection, colluders, k)


def test_the_largest_entries_are_chosen_only_among_those_with_all_their_noise() -> None:
    """So the charge is that of the whole upload, and agreements without it are signed as they were."""
    train = TrainSettings(delta=1e-4)
    for protection in ("office", "cyclic"):
        whole, largest = (
            draft_agreement(OFFERS[:3], train, protection, 0, theta=theta) for theta in (None, 0.1)
        )
        assert (whole.entries, largest.entries) == (770, 77)
        assert largest.plan_charge() == whole.plan_charge()
        assert largest.plan_noise() == whole.plan_noise()
        assert b"theta" in largest.to_bytes()
        assert b"theta" not in whole.to_bytes()
        assert "the largest 0.1 of each noisy upload is sent" in largest.describe()
        assert "the largest 0.1 of each upload" in list_views(largest)[1].sees
    for protection in ("sum", "once"):
        with pytest.raises(AgreementError, match="theta is for protections office and cyclic"):
            draft_agreement(OFFERS[:3], train, protection, 0, theta=0.1)
    for theta in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(AgreementError, match="theta is a share above 0 and below 1"):
            draft_agreement(OFFERS[:3], train, "office", 0, theta=theta)


@pytest.mark.parametrize(
    ("protection", "colluders", "factor"), [("sum", 0, 1.0), ("sum", 2, 5 / 3), ("office", 0, 5.0)]
)
def test_the_sum_has_the_noise_that_the_protection_needs(
    protection: str, colluders: int, factor: float
) -> None:
    agreement = draft(protection=protection, colluders=colluders)
    noise, plan = agreement.plan_noise(), agreement.plan_charge()
    alone = plan_training(TrainSettings(delta=1e-4), agreement_like(agreement))
    assert plan.noise_multiplier == pytest.approx(alone.noise_multiplier, rel=1e-3)
    assert plan.epsilon(1e-4) <= 8.0
    total = math.sqrt(5) * noise.deviation * 2.0**-noise.bits / agreement.max_grad_norm
    assert total == pytest.approx(alone.noise_multiplier * math.sqrt(factor), rel=1e-3)
    # As large a step of noise as alone: more noise, shorter steps.
    assert agreement.learning_rate * total == pytest.approx(
        alone.learning_rate * alone.noise_multiplier, rel=1e-3
    )


@pytest.mark.parametrize(("k", "runs"), [(1, 1), (2, 2)])
def test_in_turns_an_owner_is_charged_for_the_steps_of_its_offices(k: int, runs: int) -> None:
    agreement = draft(protection="cyclic", k=k)
    charged, alone = (
        agreement.plan_charge(),
        plan_training(TrainSettings(delta=1e-4), agreement_like(agreement)),
    )
    assert agreement.steps == 5 * alone.steps
    assert (charged.steps, charged.sample_rate) == (runs * alone.steps, alone.sample_rate)
    assert 7.9 < charged.epsilon(1e-4) <= 8.0
    turns = [agreement.list_turns(index) for index in range(5)]
    assert sorted(step for one in turns for step in one) == list(range(agreement.steps))
    # Each upload has all the noise by itself, for what an owner can move in one office.
    noise = agreement.plan_noise()
    assert noise.honest == 1
    assert noise.deviation * 2.0**-noise.bits / agreement.max_grad_norm == pytest.approx(
        charged.noise_multiplier, rel=1e-3
    )


@pytest.mark.parametrize(("colluders", "k"), [(0, 1), (2, 1), (1, 2)])
def test_one_message_is_charged_as_one_gaussian_mechanism(colluders: int, k: int) -> None:
    agreement = draft(protection="once", colluders=colluders, k=k)
    charged, noise = agreement.plan_charge(), agreement.plan_noise()
    assert (charged.steps, charged.sample_rate) == (1, 1.0)
    assert 7.9 < charged.epsilon(1e-4) <= 8.0
    assert noise.honest == 5 - colluders
    assert noise.sensitivity >= k * agreement.max_grad_norm * 2.0**noise.bits


def test_one_message_trains_linear_models_of_one_class_only() -> None:
    train = TrainSettings(delta=1e-4)
    several: list[dict[str, Any]] = [{"kind": "mlp"}, {"objective": "multilabel"}]
    for changes in several:
        with pytest.raises(AgreementError, match="once trains a linear model"):
            draft_agreement([offer(index, changes=changes) for index in range(3)], train, "once", 0)


@pytest.mark.parametrize(
    "address",
    [
        *("court:0", "court:65536", "court:99999", "court", "a b:1", "court:7:8", "court:", ":7300"),
        *("2001:db8::1:7300", "[2001:db8::1]", "[court]:7300", "[::1", "[1:2]:7300", "[::1]:٧"),
    ],
)
def test_an_address_has_a_port_that_exists(address: str) -> None:
    with pytest.raises(ValueError):
        OfficeOffer.model_validate(OFFERS[0].model_dump() | {"address": address})
    with pytest.raises(AgreementError, match="port from 1 to 65535"):
        split_address(address)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("court.example:7300", "court.example", 7300),
        ("0.0.0.0:1", "0.0.0.0", 1),
        ("[::]:65535", "::", 65535),
        ("[2001:db8:0::1]:7300", "2001:db8::1", 7300),
        ("[::ffff:192.0.2.1]:7300", "::ffff:c000:201", 7300),
    ],
)
def test_an_ipv6_address_stands_in_brackets(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)
    assert OfficeOffer.model_validate(OFFERS[0].model_dump() | {"address": address}).address == address


def agreement_like(agreement: Agreement) -> Any:
    class Together:
        objective = agreement.setup.objective
        n_owners = agreement.owners

    return Together()


def test_an_owner_in_two_offices_is_charged_for_both() -> None:
    once, twice = draft(), draft(k=2)
    assert twice.plan_charge().sample_rate == pytest.approx(1 - (1 - once.sample_rate) ** 2)
    assert twice.plan_charge().epsilon(1e-4) <= 8.0
    assert twice.plan_noise().deviation > 2 * once.plan_noise().deviation


def test_a_draft_is_read_as_it_was_written(tmp_path: Path) -> None:
    agreement = draft(colluders=1)
    path = tmp_path / "agreement.json"
    path.write_bytes(agreement.to_bytes())
    assert read_agreement(path) == agreement
    assert read_agreement(path).digest == agreement.digest
    assert draft(colluders=1).digest != agreement.digest  # no signature of one run holds in another
    (tmp_path / "offer.json").write_text(OFFERS[0].model_dump_json())
    assert read_offer(tmp_path / "offer.json") == OFFERS[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"offices": 1}, "two offices"),
        ({"offices": 2}, "cannot hide a sum"),
        ({"offices": 2, "protection": "once"}, "cannot hide a sum"),
        ({"colluders": 3, "protection": "once"}, "at most 2 may collude with protection once"),
        ({"k": 6, "protection": "cyclic"}, "offices_per_owner"),
        ({"colluders": 3}, "at most 2 may collude"),
        ({"k": 6}, "offices_per_owner"),
        ({"epsilon": 1e-6, "delta": 1e-12, "steps": 100_000}, "settings"),
    ],
)
def test_what_cannot_be_promised_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(AgreementError, match=says):
        draft(**arguments)


def scored(*levels: int | None) -> list[OfficeOffer]:
    return [
        one.model_copy(update={"score": None if level is None else OfficeScore(level=level, epsilon=0.5)})
        for one, level in zip(OFFERS, levels, strict=False)
    ]


def test_offices_whose_labels_fit_less_count_less() -> None:
    train = TrainSettings(delta=1e-4)
    agreement, all_count = (draft_agreement(some, train, "sum", 0) for some in (scored(13, 7, 0), OFFERS[:3]))
    assert agreement.weights == pytest.approx((1.0, 7 / 9.1, 0.0))
    assert agreement.counted_owners == round(100 + 101 * 7 / 9.1)
    assert agreement.owners == all_count.owners == all_count.counted_owners == 303
    # Noise and charge do not depend on weights; the step is as large as with so many owners.
    assert agreement.plan_noise() == all_count.plan_noise()
    assert agreement.plan_charge().epsilon(1e-4) <= 8.0
    assert agreement.learning_rate < all_count.learning_rate
    assert draft_agreement(scored(0, 0, 0), train, "sum", 0).weights == (1.0,) * 3
    content = json.loads(all_count.to_bytes())
    assert "score" not in content["offices"][0]  # as in earlier versions


def test_scores_are_for_all_offices_and_for_owners_of_one() -> None:
    train = TrainSettings(delta=1e-4)
    with pytest.raises(AgreementError, match="court-1 has no score"):
        draft_agreement(scored(3, None, 3), train, "sum", 0)
    with pytest.raises(AgreementError, match="in several scores"):
        draft_agreement(scored(3, 3, 3), train, "sum", 0, 2)


HUB = HubOffer(name="hub", address="hub:1", certificate=Signer.create().certify("hub", NOW).decode())


def draft_he(
    *, hub: HubOffer | None = HUB, sum_key: str | None = "e" * 64, protection: Any = "he"
) -> Agreement:
    train = TrainSettings(delta=1e-4)
    return draft_agreement(OFFERS[:2], train, protection, 0, hub=hub, sum_key=sum_key)


def test_with_a_hub_each_upload_has_all_the_noise(tmp_path: Path) -> None:
    agreement, other = draft_he(), draft(offices=2, protection="office")
    assert agreement.plan_noise() == other.plan_noise()
    assert agreement.plan_charge() == other.plan_charge()
    assert [party.name for party in agreement.parties] == ["court-0", "court-1", "hub"]
    (tmp_path / "agreement.json").write_bytes(agreement.to_bytes())
    assert read_agreement(tmp_path / "agreement.json") == agreement
    (tmp_path / "hub.json").write_text(HUB.model_dump_json())
    assert read_hub_offer(tmp_path / "hub.json") == HUB
    roles = {view.role: view for view in list_views(agreement)}
    assert (roles["hub"].epsilon, roles["hub"].shares) == (None, None)
    assert roles["coalition"].epsilon == pytest.approx(agreement.plan_charge().epsilon(1e-4))


def test_an_agreement_without_hub_has_the_bytes_of_earlier_versions() -> None:
    content = json.loads(draft().to_bytes())
    assert "hub" not in content
    assert "sum_key" not in content


def test_a_hub_and_a_key_belong_to_one_protection() -> None:
    refused: list[dict[str, Any]] = [{"hub": None}, {"sum_key": None}, {"protection": "office"}]
    for arguments in refused:
        with pytest.raises(AgreementError, match="protection he, and no other"):
            draft_he(**arguments)
    for name, value in (("name", "court-1"), ("certificate", OFFERS[0].certificate)):
        with pytest.raises(AgreementError, match="two offices of the agreement have one"):
            draft_he(hub=HUB.model_copy(update={name: value}))


def test_offices_that_do_not_fit_together_are_refused() -> None:
    train = TrainSettings(delta=1e-4)
    changed: list[dict[str, Any]] = [
        {"labels": ("lease", "other")},
        {"model": "c" * 32},
        {"unit": "document"},
    ]
    for changes in [*changed, {"masking": "c" * 32}]:
        with pytest.raises(AgreementError, match="court-7 would train something else"):
            draft_agreement([*OFFERS[:2], offer(7, changes=changes)], train, "sum", 0)
    with pytest.raises(AgreementError, match="one name"):
        draft_agreement([OFFERS[0], OFFERS[1], offer(1)], train, "sum", 0)
    with pytest.raises(AgreementError, match="one certificate"):
        draft_agreement([*OFFERS[:2], OFFERS[1].model_copy(update={"name": "court-9"})], train, "sum", 0)


def test_offices_that_are_called_at_one_address_are_refused() -> None:
    """The first office is called by nobody, and with `he` no office is."""
    train = TrainSettings(delta=1e-4)
    here = [OFFERS[0], OFFERS[1], OFFERS[2].model_copy(update={"address": OFFERS[1].address})]
    for protection in ("sum", "office"):
        with pytest.raises(AgreementError, match="two offices of the agreement have one address"):
            draft_agreement(here, train, protection, 0)
        draft_agreement([here[2], OFFERS[3], here[1]], train, protection, 0)
    draft_agreement(here, train, "he", 0, hub=HUB, sum_key="d" * 64)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("noise_multiplier", 0.3, "gives epsilon"),
        ("steps", 100, "gives epsilon"),
        ("sample_rate", 0.9, "gives epsilon"),
        ("colluders", 2, "gives epsilon|protection"),
        ("version", 2, "damaged: version"),
        ("number", "short", "damaged: number"),
        ("surprise", 1, "damaged: surprise"),
        ("epsilon", "much", "damaged: epsilon"),
    ],
)
def test_a_changed_agreement_is_refused_or_another_one(
    tmp_path: Path, field: str, value: Any, says: str
) -> None:
    agreement = draft(offices=3 if field != "colluders" else 5)
    changed = json.loads(agreement.to_bytes()) | {field: value}
    path = tmp_path / "agreement.json"
    path.write_text(json.dumps(changed))
    if field == "colluders":  # fewer shares count, so each office adds more: nothing that was signed
        assert read_agreement(path).digest != agreement.digest
        return
    with pytest.raises(AgreementError, match=says) as raised:
        read_agreement(path)
    assert "\n" not in str(raised.value)
    assert "much" not in str(raised.value)


@pytest.mark.parametrize(
    ("protection", "field", "value", "says"),
    [
        ("cyclic", "steps", 7, "as many turns"),
        ("cyclic", "offices_per_owner", 2, "gives epsilon"),
        ("once", "steps", 2, "one step"),
        ("once", "sample_rate", 0.5, "one step"),
        ("sum", "protection", "unknown", "damaged: protection"),
    ],
)
def test_a_protection_does_not_hold_with_other_numbers(
    tmp_path: Path, protection: str, field: str, value: Any, says: str
) -> None:
    changed = json.loads(draft(protection=protection).to_bytes()) | {field: value}
    (tmp_path / "agreement.json").write_text(json.dumps(changed))
    with pytest.raises(AgreementError, match=says):
        read_agreement(tmp_path / "agreement.json")


def test_a_flipped_bit_in_a_certificate_is_refused_by_name(tmp_path: Path) -> None:
    content = json.loads(draft().to_bytes())
    pem = content["offices"][2]["certificate"].splitlines()
    pem[3] = pem[3][:10] + ("A" if pem[3][10] != "A" else "B") + pem[3][11:]
    content["offices"][2]["certificate"] = "\n".join(pem)
    path = tmp_path / "agreement.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AgreementError, match="certificate of office court-2"):
        read_agreement(path)


def test_files_that_are_no_agreement_are_refused(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("list", b"[]"), ("binary", b"\xff\x00")):
        (tmp_path / name).write_bytes(content)
        for read in (read_agreement, read_offer):
            with pytest.raises(AgreementError, match="damaged"):
                read(tmp_path / name)
    for read in (read_agreement, read_offer):
        with pytest.raises(AgreementError, match="cannot be read"):
            read(tmp_path / "missing")
