"""Pages of the site that are made from the code whenever it is built: the commands and the settings."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from mkdocs.structure.files import File
from pydantic import BaseModel
from typer.main import get_command

from lexveil.flows.cli import app
from lexveil.pipeline.settings import Settings

_COMMANDS = """# Commands

Made from the code when this site is built; `lexveil COMMAND --help` says the same. Exit codes: 2 for bad
input, 3 where the privacy ledger refuses, 4 where an audit fails, 5 where training met a number that is not
finite, 1 for anything else.
"""
_SETTINGS = """# Settings

Made from `pipeline/settings.py` when this site is built. Settings stand in `lexveil.toml` of the working
folder, or in the file that `--config` names. `LEXVEIL_<SECTION>__<NAME>` in the environment goes before the
file, and the command line before both: `LEXVEIL_TRAIN__EPSILON=3` is `epsilon = 3` under `[train]`. An
unknown name is refused.
"""


def on_files(files: Any, config: Any) -> Any:
    """Called by mkdocs: add the generated pages to those in docs/."""
    for name, content in (("commands", commands_page()), ("settings", settings_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def commands_page() -> str:
    """Every command with its arguments and options, as `--help` knows them."""
    parts = [_COMMANDS]
    return "\n".join([*parts, *(_command(name, command) for name, command in commands())])


def commands(group: Any = None, prefix: str = "lexveil") -> Iterator[tuple[str, Any]]:
    """Each command under its full name. One that does without a word of its own has that of its group."""
    for name, command in (group or get_command(app)).commands.items():
        hidden_word = name == "files" and group is not None
        full = prefix if hidden_word else f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


def _command(name: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join([name, *(_metavar(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    rows = [f"| `{_metavar(one)}` | {_cell(one.help)} |" for one in arguments]
    rows += [f"| {_flags(one)} | {_cell(one.help)}{_default(one)} |" for one in options]
    table = ["| option | meaning |", "|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {name}\n", f"`{usage}`\n", inspect.cleandoc(command.help or ""), "", *table])


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    if argument.required or name.startswith("["):
        return f"{name}..." if argument.nargs == -1 else name
    return f"[{name}]"


def _flags(option: Any) -> str:
    both = [*sorted(option.opts, key=len, reverse=True), *option.secondary_opts]
    value = "" if option.is_flag else f" {option.metavar or _kind(option.type_descriptor.annotation)}"
    return ", ".join(f"`{flag}{value}`" for flag in both)


def _kind(annotation: Any) -> str:
    (kind, *_) = [kind for kind in get_args(annotation) if kind is not types.NoneType] or [annotation]
    return {"str": "TEXT", "Path": "PATH", "int": "N", "float": "X"}.get(
        getattr(kind, "__name__", ""), "TEXT"
    )


def _default(option: Any) -> str:
    known = option.default is None or option.is_flag or "Default:" in (option.help or "")
    return "" if known or callable(option.default) else f" Default: `{option.default}`"


def settings_page() -> str:
    """Every setting with its default, its values and what the comment beside it says."""
    parts = [_SETTINGS]
    top = {name: entry for name, entry in Settings.model_fields.items() if not section_of(entry)}
    parts.append(_settings_table("Outside of any section", "", Settings, top))
    for name, entry in Settings.model_fields.items():
        if section := section_of(entry):
            about = inspect.cleandoc(section.__doc__ or "")
            parts.append(_settings_table(f"[{name}]", about, section, section.model_fields))
    return "\n".join(parts)


def section_of(entry: Any) -> type[BaseModel] | None:
    kind = entry.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _settings_table(title: str, about: str, section: type[BaseModel], fields: dict[str, Any]) -> str:
    said = meanings(section)
    rows = [
        f"| `{name}` | {_shown(entry.get_default())} | {_cell(_meaning(said, name, entry))} |"
        for name, entry in fields.items()
    ]
    return "\n".join(
        [f"## {title}\n", about, "", "| setting | default | meaning |", "|---|---|---|", *rows, ""]
    )


def _meaning(said: dict[str, str], name: str, entry: Any) -> str:
    meaning = re.sub(r"(^|; )None: ", r"\1not set: ", said.get(name, ""))
    values = _values(entry)
    if not re.match(r"\S*[:/_]\S", meaning):
        meaning = meaning[:1].upper() + meaning[1:]
    return meaning + (f" ({values})" if values else "")


def _shown(default: Any) -> str:
    if default is None or default == {}:
        return "not set"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:_}`" if isinstance(default, int) and default >= 10_000 else f"`{default}`"


def _values(entry: Any) -> str:
    """The values a setting may have, or its bounds."""
    found: list[str] = []
    for kind in _flat(entry.annotation):
        if get_origin(kind) is Literal:
            found.append(", ".join(f"`{value}`" for value in get_args(kind)))
        for bound in getattr(kind, "__metadata__", ()):
            found += _bounds(getattr(bound, "metadata", [bound]))
    return "; ".join([*found, *_bounds(entry.metadata)])


def _bounds(metadata: Any) -> list[str]:
    words = (("gt", "above"), ("ge", "from"), ("le", "up to"), ("lt", "under"))
    return [
        f"{word} {getattr(one, sign):g}" for one in metadata for sign, word in words if hasattr(one, sign)
    ]


def _flat(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _flat(part)
    else:
        yield annotation


def meanings(section: type[BaseModel]) -> dict[str, str]:
    """What is said of each setting of a section: the comment behind it, or the lines of comment above it."""
    source = inspect.cleandoc("\n" + inspect.getsource(section))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for line in body.body:
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        above: list[str] = []
        number = line.lineno - 1
        while number in comments and source.splitlines()[number - 1].lstrip().startswith("#"):
            above.insert(0, comments[number])
            number -= 1
        inside = [
            comments[n] for n in range(line.lineno, (line.end_lineno or line.lineno) + 1) if n in comments
        ]
        found[line.target.id] = " ".join([*above, *inside])
    return found


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
