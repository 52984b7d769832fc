"""Names that a document's format states are masked in its text. All names are invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from lexveil.pipeline.export.documents import iter_masked
from lexveil.pipeline.masking.conversion import FileOptions
from lexveil.pipeline.masking.standalone import anonymize_file, detect_file
from lexveil.pipeline.masking.stated_names import list_stated_names
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace

PERSON, COMPANY = "PERSON", "ORGANIZATION"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"parties": "Mr Gregor Lindqvist (deceased); Doe, John; Roe, et al."},
         {"Gregor Lindqvist": PERSON, "John Doe": PERSON, "Roe": PERSON}),
        ({"parties": "Oberholzer, Inc.; Smith & Sons; Acme Holdings Ltd; \u738b\u5c0f\u660e"},
         {"Oberholzer Inc.": COMPANY, "Smith & Sons": COMPANY, "Acme Holdings Ltd": COMPANY,
          "\u738b\u5c0f\u660e": PERSON}),
        ({"parties": "Jane Roe, Plaintiff; United States; State of Oregon; Oregon; Regina; Plaintiff; 17; "},
         {"Jane Roe": PERSON}),
        ({"kind": "mail", "author": "Jane Roe <j@example.org>",
          "parties": "Jane Roe <j@example.org>; \"Lindqvist, Gregor\" <g@example.org>, info@example.org; "
                     "Support <s@example.org>"},
         {"Jane Roe": PERSON, "Gregor Lindqvist": PERSON}),
        ({"parties": f"John Doe (once (it is said) Pell) Roe; Jane Roe (as {'guardian ' * 50}); Ann Pell ("},
         {"John Doe Roe": PERSON, "Jane Roe": PERSON, "Ann Pell": PERSON}),
        ({"kind": "mail", "author": "j@example.org (Jane Roe)",
          "parties": ", ".join(f"a{n}@example.org" for n in range(500)) + ", Ann Pell <p@example.org>"},
         {"Jane Roe": PERSON, "Ann Pell": PERSON}),
        ({"kind": "mail", "author": "Ann Pell <p@example.org>, " + "(" * 20000}, {"Ann Pell": PERSON}),
        ({"parties": "Jane Roe; " + "(" * 500_000}, {"Jane Roe": PERSON}),
        ({"author": "Windows User"}, {}),
        ({"author": "Administrator"}, {}),
        ({"author": "Marianne Oberholzer", "title": "Order", "court": "Court of Roe"},
         {"Marianne Oberholzer": PERSON}),
    ],
)  # fmt: skip
def test_names_of_private_persons_and_companies(fields: Mapping[str, str], names: Mapping[str, str]) -> None:
    assert dict(list_stated_names(fields)) == names


RULES = Settings.model_validate({"mask": {"detector": "rules"}})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files whose formats state names that the rules find none of, without a learned detector."""
    source = tmp_path / "in"
    source.mkdir()
    mail = EmailMessage()
    mail["From"], mail["To"] = '"Oberholzer, Marianne" <m@example.org>', "Gregor Lindqvist <g@example.org>"
    mail["Subject"] = "Deposit"
    mail.set_content("Then Marianne Oberholzer signed. Lindqvist knew, and stayed silent. Regards, Marianne")
    (source / "a.eml").write_bytes(bytes(mail))
    record = {
        "id": 1, "parties": [{"name": "Wolfenberger Kg"}, {"name": "United States"}],
        "text": "A sale to Wolfenberger is void in the United States. See Wolf v. Roe, 1 U.S. 2 (1800).",
    }  # fmt: skip
    (source / "a.jsonl").write_text(json.dumps({**record, "facts": [1]}), encoding="utf-8")
    return source


def test_what_is_stated_is_masked_wherever_the_text_has_it(source: Path, tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "workspace").with_settings(RULES)
    ingest(workspace, [source])
    mask(workspace)
    texts = {len(one.text) > 150: one.text for one in iter_masked(workspace)}
    letter, judgment = texts[True], texts[False]
    assert not any(name in letter for name in ("Marianne", "Oberholzer", "Gregor", "Lindqvist"))
    assert "Wolfenberger" not in judgment
    assert "in the United States. See Wolf v. Roe, 1 U.S. 2 (1800)." in judgment


def test_what_is_stated_is_masked_without_a_workspace(source: Path, tmp_path: Path) -> None:
    forwarded = EmailMessage()
    forwarded["From"], forwarded["Subject"] = "g@example.org", "Fwd"
    forwarded.set_content("Marianne told me.")
    forwarded.add_attachment(message_from_bytes((source / "a.eml").read_bytes(), policy=policy.default))
    (source / "b.eml").write_bytes(bytes(forwarded))
    anonymize_file(source, tmp_path / "out", RULES, options=FileOptions(keep_names=True))
    for name in ("a.eml.txt", "b.eml.txt"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert not any(word in text for word in ("Marianne", "Oberholzer", "Gregor", "Lindqvist"))
    options = FileOptions(keep=("facts",))
    anonymize_file(source / "a.jsonl", tmp_path / "a.jsonl", RULES, options=options)
    detect_file(source / "a.jsonl", tmp_path / "spans.jsonl", RULES)
    masked, found = (json.loads((tmp_path / name).read_text("utf-8")) for name in ("a.jsonl", "spans.jsonl"))
    assert sorted(masked) == ["facts", "id", "text"]
    assert masked["facts"] == [1]
    assert "Wolfenberger" not in masked["text"]
    assert "in the United States. See Wolf v. Roe, 1 U.S. 2 (1800)." in masked["text"]
    assert [span["type"] for span in found["spans"]] == ["ORGANIZATION"]
