"""A running endpoint takes a new model and drops one that it may no longer serve; clients go on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, ServingError
from lexveil.pipeline.serving.server import app as application
from lexveil.pipeline.serving.server.app import ServerLimits, create_app
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.offers import LISTING, Listed, OfferDraft, ServingBundle, tell_time
from lexveil.pipeline.serving.server.sessions import SessionLimits
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead
from tests.deadlines import wait_until

LABELS = ["lease", "loan", "merger"]
FEATURES = np.random.default_rng(5).normal(size=(6, 64)) / 9


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def bundle(tmp_path: Path) -> ServingBundle:
    (tmp_path / "bundle").mkdir()
    return ServingBundle(tmp_path / "bundle")


@pytest.fixture
def state(tmp_path: Path) -> ServerState:
    return ServerState(tmp_path / "endpoint")


def make_head(seed: int) -> LinearHead:
    random = np.random.default_rng(seed)
    return LinearHead(random.normal(size=(64, 3)), random.normal(size=3))


def offer(bundle: ServingBundle, head: Head, name: str, extractor: str | None = None) -> None:
    """List a head as the newest, before those that are listed."""
    listed = Listed(f"{name}-1", tell_time(), name)
    with bundle.lock():
        with bundle.add_offer(
            OfferDraft(name, LABELS, "sealed", head, {"epsilon": 8.0}), listed.id
        ) as folder:
            (folder / "config.json").write_text(extractor or name)
        bundle.write_listing([listed, *bundle.list()])


def withdraw(bundle: ServingBundle, name: str) -> None:
    with bundle.lock():
        bundle.write_listing([one for one in bundle.list() if one.model != name])


def labels_of(head: Head) -> list[str]:
    return [LABELS[place] for place in head.logits(FEATURES).argmax(axis=1)]


def client_of(bundle: ServingBundle) -> EncryptedClassifier:
    """A client of the bundle's endpoint, in this process."""
    return EncryptedClassifier.in_process(create_app(bundle))


def serves(caller: Any, name: str) -> bool:
    response = caller.http.get("/v1/manifest")
    return response.status_code == 200 and read(response).model == name


def read(response: Any) -> wire.ServerManifest:
    return wire.SignedManifest.model_validate_json(response.content).verify()


def name_manifest(caller: Any) -> str:
    return wire.name_manifest(caller.http.get("/v1/manifest").json()["manifest"])


def test_without_a_model_callers_are_told_to_come_again_until_there_is_one(
    calling: Any, bundle: ServingBundle, state: ServerState, honest: Any
) -> None:
    with calling(create_app(bundle, state=state), state) as caller:
        for response in (
            caller.http.get("/readyz"),
            caller.http.get("/v1/manifest"),
            caller.http.get("/v1/extractor/config.json"),
            caller.post("/v1/sessions", wire.bundle([honest.evaluation])),
        ):
            assert (response.status_code, response.json()["error"]) == (503, "no_model")
            assert int(response.headers["Retry-After"]) >= 1
        assert caller.http.get("/healthz").status_code == 200
        offer(bundle, make_head(3), "first")
        wait_until(lambda: caller.http.get("/readyz").status_code == 200)
        assert caller.classify(caller.open(honest.evaluation), honest.request).status_code == 200


@pytest.mark.parametrize("processes", [False, True])
def test_a_session_goes_on_with_its_head_beside_the_new_one_and_ends_with_it(
    processes: bool, calling: Any, bundle: ServingBundle, state: ServerState, honest: Any
) -> None:
    def ask(session: str) -> np.ndarray:
        response = caller.classify(session, honest.request)
        assert response.status_code == 200
        return honest.keys.decrypt(wire.unbundle(response.content, 1, 1 << 20), 1)

    old, new = make_head(3), make_head(4)
    offer(bundle, old, "old")
    limits = ServerLimits(workers=WorkerLimits(workers=1, spares=0))
    with calling(create_app(bundle, limits, state=state, processes=processes), state) as caller:
        before, session = name_manifest(caller), caller.open(honest.evaluation)
        offer(bundle, new, "new")
        wait_until(lambda: serves(caller, "new"))
        np.testing.assert_allclose(ask(session), old.logits(np.ones((1, 64)) / 8), atol=1e-2)
        np.testing.assert_allclose(
            ask(caller.open(honest.evaluation)), new.logits(np.ones((1, 64)) / 8), atol=1e-2
        )
        # Who knows the former manifest is not served by another head than it believes.
        late = caller.post(f"/v1/sessions?manifest={before}", wire.bundle([honest.evaluation]))
        assert (late.status_code, late.json()["error"]) == (409, "outdated")
        assert caller.http.get(f"/v1/extractor/config.json?manifest={before}").text == "old"
        assert caller.http.get("/v1/extractor/config.json").text == "new"
        withdraw(bundle, "old")
        wait_until(lambda: caller.classify(session, honest.request).status_code == 404)
        gone = caller.http.get(f"/v1/extractor/config.json?manifest={before}")
        assert (gone.status_code, gone.json()["error"]) == (409, "outdated")
        # A head is no longer served before its sessions are ended and its files are deleted.
        wait_until(lambda: len(list(state.keys_folder.iterdir())) == 1)
        wait_until(lambda: [path.name for path in bundle.folder.iterdir() if path.is_dir()] == ["new-1"])
        withdraw(bundle, "new")
        wait_until(lambda: caller.http.get("/readyz").status_code == 503)
        wait_until(lambda: not list(state.keys_folder.iterdir()))


def test_an_honest_client_notices_nothing(bundle: ServingBundle) -> None:
    """It classifies without a pause, while models come and go: each answer is one of a served head's."""
    heads = {f"m{seed}": make_head(seed) for seed in range(3)}
    offer(bundle, heads["m0"], "m0", "the same extractor")
    seen: list[list[str]] = []
    ended = threading.Event()

    def replace_models() -> None:
        for former, name in (("m0", "m1"), ("m1", "m2")):
            count = len(seen)
            offer(bundle, heads[name], name, "the same extractor")
            wait_until(lambda count=count: len(seen) > count + 2)
            withdraw(bundle, former)  # as after an erasure
            wait_until(lambda name=name: seen[-1] == labels_of(heads[name]))
        ended.set()

    with client_of(bundle) as client:
        threading.Thread(target=replace_models, daemon=True).start()
        while not ended.is_set():
            seen.append(client.classify(FEATURES).labels)
    expected = [labels_of(head) for head in heads.values()]
    assert [seen[0], seen[-1]] == [expected[0], expected[-1]]
    assert all(labels in expected for labels in seen)


def test_features_of_another_model_are_not_sent_to_the_new_one(bundle: ServingBundle) -> None:
    offer(bundle, make_head(1), "m1")
    with client_of(bundle) as client:
        client.classify(FEATURES)
        offer(bundle, make_head(2), "m2")
        withdraw(bundle, "m1")

        def classify_often() -> None:
            for _ in range(1000):
                client.classify(FEATURES)

        with pytest.raises(ServingError) as caught:
            classify_often()
        assert caught.value.code == "features"
        client.classify(FEATURES)  # computed again, by the extractor of the manifest


def test_a_damaged_or_unreadable_bundle_changes_nothing(
    calling: Any, bundle: ServingBundle, state: ServerState, honest: Any
) -> None:
    offer(bundle, make_head(3), "sound")
    with calling(create_app(bundle, state=state), state) as caller:
        session = caller.open(honest.evaluation)
        listing = (bundle.folder / LISTING).read_bytes()
        offer(bundle, make_head(4), "damaged")
        (bundle.folder / "damaged-1" / "head.npz").write_bytes(b"damaged")
        (bundle.folder / LISTING).touch()
        for content in (b"{}", b"", b"[1]"):
            (bundle.folder / LISTING).write_bytes(content)
            assert caller.classify(session, honest.request).status_code == 200
        (bundle.folder / LISTING).write_bytes(listing)
        assert caller.classify(session, honest.request).status_code == 200
        assert serves(caller, "sound")


def test_what_clients_know_of_a_model_outlives_a_restart(
    calling: Any, bundle: ServingBundle, state: ServerState, honest: Any
) -> None:
    offer(bundle, make_head(2), "older")
    offer(bundle, make_head(3), "newest")
    with calling(create_app(bundle, state=state), state) as caller:
        manifest, session = name_manifest(caller), caller.open(honest.evaluation)
    with calling(create_app(bundle, state=state), state) as caller:
        assert name_manifest(caller) == manifest
        assert caller.classify(session, honest.request).status_code == 200


def test_an_earlier_head_is_kept_as_long_as_a_session_lasts(
    calling: Any, bundle: ServingBundle, state: ServerState
) -> None:
    offer(bundle, make_head(2), "older")
    listed = bundle.list()[0]
    bundle.write_listing([Listed("newest-1", "2020-01-01T00:00:00.000+00:00", "newest"), listed])
    offer_files = OfferDraft("newest", LABELS, "sealed", make_head(3), {})
    with bundle.add_offer(offer_files, "newest-1"):
        pass
    with calling(
        create_app(bundle, ServerLimits(sessions=SessionLimits(seconds=60)), state=state), state
    ) as caller:
        assert serves(caller, "newest")
        asked = caller.http.get(f"/v1/extractor/config.json?manifest={'0' * 64}")
        assert asked.status_code == 409


def test_a_network_is_read_as_it_was_written(bundle: ServingBundle) -> None:
    random = np.random.default_rng(1)
    first, last = (
        (random.normal(size=(64, 8)), random.normal(size=8)),
        (random.normal(size=(8, 3)), np.ones(3)),
    )
    network = NetworkHead(*first, Activation((0.1, 0.5, 0.3, 0.2), (-9.0, 9.0)), *last)
    offer(bundle, network, "network")
    read_again = bundle.load(bundle.list()[0])
    np.testing.assert_array_equal(read_again.model.head.logits(FEATURES), network.logits(FEATURES))
    assert (read_again.labels, read_again.name) == (LABELS, "network")
