"""Texts of reports and review pages about the content that accepted documents do not show."""

from __future__ import annotations

from collections.abc import Mapping

NOTES: Mapping[str, tuple[str, str]] = {
    "covered_text": (
        "Text under a box: a redaction that leaves the text in the file. It is left out.",
        "This file has a bad redaction: tell whoever sent it, and do not pass the file on.",
    ),
    "hidden_text": (
        "Text that nobody sees: white, off the page, or on a layer that is off. It is left out.",
        "Look at the file if you did not expect it.",
    ),
    "unread_attachment": (
        "A document inside of another one that could not be read.",
        "The quarantine says why.",
    ),
    "unread_page": (
        "A page that is a picture or that cannot be read.",
        "Install Tesseract with the languages of your documents and run again.",
    ),
    "unread_picture": (
        "A picture in a document; what is written in it is not in the text.",
        "Nothing, if pictures are seals and logos.",
    ),
    "unread_member": (
        "A link, a hidden file or a file of the system in an archive.",
        "Usually nothing.",
    ),
    "read_elsewhere": (
        "A document of a format without a reader: another program made one text of all that is in it.",
        "Convert the file to a format that is read here if its pictures or embedded documents matter.",
    ),
    "skipped_value": (
        "A value of a form that is no text, such as a choice.",
        "Look at the form if the choice matters.",
    ),
    "skipped_link": ("A link in a folder that leads nowhere.", "Check where the files are that it led to."),
    "hidden_file": ("A file or a folder whose name begins with a dot.", "Rename what should be read."),
}
_UNKNOWN = ("Something that this report does not explain.", "Ask the administrator of this installation.")


def explain_notes(notes: Mapping[str, int]) -> list[tuple[str, int, str, str]]:
    """Return code, count, meaning and advice of each note, the gravest first."""
    order = [*NOTES]
    known = sorted(notes, key=lambda code: (order.index(code) if code in NOTES else len(order), code))
    return [(code, notes[code], *NOTES.get(code, _UNKNOWN)) for code in known]
