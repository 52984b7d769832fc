"""Reference pages that are generated from the code whenever the site is built: commands and settings."""

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

import lexveil
from lexveil.flows.cli import app
from lexveil.pipeline.settings import Settings

_COMMANDS = """# Commands

Generated from the code; `lexveil COMMAND --help` prints the same, and `lexveil --version` the version. Exit
codes: 2 for bad input, 3 if the privacy ledger refuses, 4 if an audit fails, 5 if training made a weight that
is not finite, 1 for anything else.
"""
_SETTINGS = """# Settings

Generated from `pipeline/settings.py`. Settings are read from `lexveil.toml` in the working folder, or from
the file that `--config` names. `LEXVEIL_<SECTION>__<NAME>` in the environment overrides the file, and the
command line overrides both: `LEXVEIL_TRAIN__EPSILON=3` is `epsilon = 3` under `[train]`. An unknown name is
refused, with the one that was meant. `LEXVEIL_MASK__TYPES__EMAIL=token` sets an entry of a dictionary.
"""
_PYTHON = """# Python

Generated from the code. These names are exported by `lexveil`, and they are the public interface: everything
else may change. `import lexveil` is cheap, since each name is imported when it is first used. The package is
typed.
"""
# Heading: where the modules of its names begin.
_PARTS = {
    "The pipeline": "pipeline.",
    "The client of the encrypted endpoint": "pipeline.serving.client.",
    "Text": "nlp.",
    "Differential privacy": "privacy.dp.",
    "Homomorphic encryption": "privacy.he.",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those in docs/; MkDocs calls it."""
    pages = {"commands": render_commands(), "settings": render_settings(), "python": render_python()}
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def render_python() -> str:
    """Return the page of the public names, each under the longest part that its module belongs to."""
    names: dict[str, list[str]] = {title: [] for title in _PARTS}
    for name, module in lexveil._HOMES.items():  # pyright: ignore[reportPrivateUsage]
        titles = [title for title, prefix in _PARTS.items() if f"{module}.".startswith(prefix)]
        names[max(titles, key=lambda title: len(_PARTS[title]))].append(name)
    parts = [
        "\n".join([f"## {title}\n", *(f"::: lexveil.{name}" for name in found)])
        for title, found in names.items()
    ]
    return "\n\n".join([_PYTHON, *parts, ""])


def render_commands() -> str:
    """Return the page of all commands with their arguments and options, as `--help` knows them."""
    return "\n".join([_COMMANDS, *(_render_command(name, command) for name, command in iterate_commands())])


def iterate_commands(group: Any = None, prefix: str = "lexveil") -> Iterator[tuple[str, Any]]:
    """Yield each command with its full name."""
    for word, command in (group or get_command(app)).commands.items():
        name = f"{prefix} {word}"
        if hasattr(command, "commands"):
            yield from iterate_commands(command, name)
        else:
            yield name, command


def _render_command(name: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join(
        [name, *(_format_argument(one) for one in arguments), *(["[OPTIONS]"] if options else [])]
    )
    rows = [f"| `{_format_argument(one)}` | {_escape_cell(one.help)} |" for one in arguments]
    rows += [f"| {_format_flags(one)} | {_escape_cell(one.help)}{_format_default(one)} |" for one in options]
    table = ["| option | meaning |", "|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## {name}\n", f"`{usage}`\n", inspect.cleandoc(command.help or ""), "", *table])


def _format_argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    if argument.required or name.startswith("["):
        return f"{name}..." if argument.nargs == -1 else name
    return f"[{name}]"


def _format_flags(option: Any) -> str:
    both = [*sorted(option.opts, key=len, reverse=True), *option.secondary_opts]
    value = "" if option.is_flag else f" {option.metavar or _format_type(option.type_descriptor.annotation)}"
    return ", ".join(f"`{flag}{value}`" for flag in both)


def _format_type(annotation: Any) -> str:
    (kind, *_) = [kind for kind in get_args(annotation) if kind is not types.NoneType] or [annotation]
    return {"str": "TEXT", "Path": "PATH", "int": "N", "float": "X"}.get(
        getattr(kind, "__name__", ""), "TEXT"
    )


def _format_default(option: Any) -> str:
    known = option.default is None or option.is_flag or "Default:" in (option.help or "")
    return "" if known or callable(option.default) else f" Default: `{option.default}`"


def render_settings() -> str:
    """Return the page of all settings with their defaults, their values and the comments in the code."""
    parts = [_SETTINGS]
    top = {name: entry for name, entry in Settings.model_fields.items() if not get_section(entry)}
    parts.append(_render_table("Outside of any section", "", Settings, top))
    for name, entry in Settings.model_fields.items():
        if section := get_section(entry):
            about = inspect.cleandoc(section.__doc__ or "")
            parts.append(_render_table(f"[{name}]", about, section, section.model_fields))
            for field, inner in section.model_fields.items():
                kind = (*get_args(inner.annotation), None)[-2:][0]  # the values of a dictionary
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    about = inspect.cleandoc(kind.__doc__ or "")
                    parts.append(_render_table(f"[{name}.{field}.NAME]", about, kind, kind.model_fields))
    return "\n".join(parts)


def get_section(entry: Any) -> type[BaseModel] | None:
    """Return the section's class if a field of `Settings` is a section."""
    kind = entry.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _render_table(title: str, about: str, section: type[BaseModel], fields: dict[str, Any]) -> str:
    comments = read_comments(section)
    rows: list[str] = []
    for name, entry in fields.items():
        meaning = _escape_cell(_describe_setting(comments.get(name, ""), entry))
        rows.append(f"| `{name}` | {_format_value(entry.get_default())} | {meaning} |")
    return "\n".join(
        [f"## {title}\n", about, "", "| setting | default | meaning |", "|---|---|---|", *rows, ""]
    )


def _describe_setting(comment: str, entry: Any) -> str:
    meaning = re.sub(r"(^|; )None: ", r"\1not set: ", comment)
    values = _describe_values(entry)
    if not re.match(r"\S*([:/_]\S|: )", meaning):  # a value, a path or a name keeps its case
        meaning = meaning[:1].upper() + meaning[1:]
    return meaning + (f" ({values})" if values else "")


def _format_value(default: Any) -> str:
    if default is None or default in ({}, ()):
        return "not set"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:_}`" if isinstance(default, int) and default >= 10_000 else f"`{default}`"


def _describe_values(entry: Any) -> str:
    """Return the values that a setting may have, or its bounds."""
    values: list[str] = []
    for kind in _flatten_union(entry.annotation):
        if get_origin(kind) is Literal:
            values.append(", ".join(f"`{value}`" for value in get_args(kind)))
        for bound in getattr(kind, "__metadata__", ()):
            values += _describe_bounds(getattr(bound, "metadata", [bound]))
    return "; ".join([*values, *_describe_bounds(entry.metadata)])


def _describe_bounds(metadata: Any) -> list[str]:
    words = (("gt", "above"), ("ge", "from"), ("le", "up to"), ("lt", "under"))
    return [
        f"{word} {getattr(one, sign):g}" for one in metadata for sign, word in words if hasattr(one, sign)
    ]


def _flatten_union(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _flatten_union(part)
    else:
        yield annotation


def read_comments(section: type[BaseModel]) -> dict[str, str]:
    """Return the comment on each setting of a section: the lines above it, and those next to it."""
    source = inspect.cleandoc("\n" + inspect.getsource(section))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    by_name: dict[str, str] = {}
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
        by_name[line.target.id] = " ".join([*above, *inside])
    return by_name


def _escape_cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
