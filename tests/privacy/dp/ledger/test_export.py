from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.budget import Charge, Population, fold_entries, spending_history
from lexveil.privacy.dp.ledger.ledger import Ledger
from lexveil.privacy.dp.sampled_gaussian import Truncation

PEOPLE = Population("judgments", unit="owner")
DELTA = 1e-5


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}")
    ledger.set_limit(PEOPLE, 3.0, DELTA)
    ledger.commit(ledger.reserve(PEOPLE, Charge(8.0, 0.2, 100), "a", b"wrapped").id, 60)
    cut = ledger.reserve(PEOPLE, Charge(8.0, 0.2, 50, Truncation(40, 150)), "b")
    ledger.abandon(cut.id)
    other = Population("statutes")
    ledger.set_limit(other, 1.0, 1e-6)
    ledger.reserve(other, Charge(16.0, 0.1, 20), "a")
    return ledger.entries()


def test_what_was_exported_is_verified_elsewhere(entries):
    text = exported.dump(entries)
    export = exported.load(text)
    assert export.entries == entries
    result = exported.audit(export)
    assert (result.verification.ok, result.claims_hold) == (True, True)
    assert [total["committed"] for total in json.loads(text)["totals"]] == [1, 0]
    assert "wrapped" not in text


@pytest.mark.parametrize(
    ("old", "new", "intact"),
    [
        ('\\"steps\\":60', '\\"steps\\":6', False),
        ('\\"max_batch\\":40', '\\"max_batch\\":99', False),
        ('"committed": 1', '"committed": 0', True),
        ('"limit": 3.0', '"limit": 9.0', True),
        ('"head": "', '"head": "0', True),
    ],
)
def test_a_changed_document_is_found_out(entries, old, new, intact):
    text = exported.dump(entries)
    assert old in text
    result = exported.audit(exported.load(text.replace(old, new, 1)))
    assert result.verification.ok is intact
    assert not (result.verification.ok and result.claims_hold)


def test_a_smaller_total_is_found_out(entries):
    document = json.loads(exported.dump(entries))
    document["totals"][0]["epsilon"] *= 0.98
    assert not exported.audit(exported.load(json.dumps(document))).claims_hold
    del document["totals"][0]
    assert not exported.audit(exported.load(json.dumps(document))).claims_hold


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "lexveil-ledger", "version": 2}',
                                  '{"format": "lexveil-ledger", "version": 1, "entries": [{}]}'])  # fmt: skip
def test_another_text_is_refused(text):
    with pytest.raises(exported.ExportFormatError):
        exported.load(text)


def test_the_history_ends_in_the_total_and_only_commits_lower_it(entries):
    moments = spending_history(entries, PEOPLE)
    assert [moment.seq for moment in moments] == [1, 2, 3, 4, 5]
    spent = [moment.spent for moment in moments]
    assert spent[0] == 0
    assert spent[1] == spent[2]  # of a single run all reserved steps count: it may have stopped for a reason
    assert spent[3] == spent[4] > spent[2]
    assert spent[-1] == exported.audit(exported.load(exported.dump(entries))).verification.totals[0].epsilon


class TestARunThatStopped:
    """Earlier versions committed the step at which a run met a number that was not finite."""

    def test_its_step_is_nowhere_in_the_export(self, entries):
        concealed = exported.conceal_stops(entries)
        assert [entry.kind for entry in concealed[:3]] == ["limit", "reserve", "abandon"]
        assert concealed[2].payload == "{}"
        # Nor can a guess of it be confirmed: no hash from there on is one of the ledger's.
        assert concealed[:2] == entries[:2]
        assert not {entry.hash for entry in concealed[2:]} & {entry.hash for entry in entries}
        result = exported.audit(exported.load(exported.dump(concealed)))
        assert (result.verification.ok, result.claims_hold) == (True, True)
        full = fold_entries(concealed, PEOPLE).spent_epsilon(DELTA)
        assert full > fold_entries(entries, PEOPLE).spent_epsilon(DELTA)

    def test_what_was_admitted_since_counts_even_above_the_limit(self, tmp_path):
        ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        ledger.set_limit(PEOPLE, 3.0, DELTA)
        for number in range(40):
            ledger.commit(ledger.reserve(PEOPLE, Charge(8.0, 0.2, 100), str(number)).id, 10)
        result = exported.audit(exported.load(exported.dump(exported.conceal_stops(ledger.entries()))))
        assert (result.verification.ok, result.claims_hold) == (True, True)
        assert result.verification.totals[0].epsilon > 3.0

    def test_a_broken_chain_stays_broken(self, entries):
        broken = [*entries[:4], replace(entries[4], at="2000-01-01"), *entries[5:]]
        assert exported.audit(
            exported.load(exported.dump(exported.conceal_stops(broken)))
        ).verification.broken_at

    def test_other_ledgers_are_exported_as_they_are(self, entries):
        assert exported.conceal_stops(entries[:2]) == entries[:2]
