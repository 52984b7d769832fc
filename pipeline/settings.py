"""One typed configuration: defaults < `lexveil.toml` < environment (`LEXVEIL_...`) < command line.

The comment beside or above a setting is its entry in the reference of the documentation (docs/hooks.py).
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lexveil.nlp.detection.language import LANGUAGES
from lexveil.nlp.encoders.config import (
    DEFAULT_CHUNK_ENDS,
    DEFAULT_CHUNK_LENGTH,
    DEFAULT_CHUNK_LIMIT,
    DEFAULT_PRECISION,
    ChunkEnds,
    Kind,
    Precision,
    Representation,
)
from lexveil.nlp.entities.roles import ROLES
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.policy import Action, Dates, Policy, PolicyError, Preset, build_policy
from lexveil.nlp.recognizers.own_rules import OwnRules
from lexveil.pipeline.errors import SettingsError
from lexveil.privacy.he.parameters import Profile

MIB = 1 << 20
_REFUSED = "lexveil_refused"
_PREFIX = "LEXVEIL_"
# Variables of the environment that are not settings: secrets that no file may hold, an address with a token,
# the switch for unsafe messages, and the folder that deploy/compose.yaml mounts.
NO_SETTINGS = frozenset(
    {"LEXVEIL_MASTER_KEY", "LEXVEIL_API_KEY", "LEXVEIL_WEBHOOK", "LEXVEIL_DEBUG", "LEXVEIL_INBOX"}
)
# Kubernetes and Docker set these for a service whose name begins with "lexveil".
_LINK = re.compile(r"LEXVEIL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_BAD_LIST = "lexveil_bad_list"
OWN_RULES = ("recognizers", "recognizer_files", "foreign_types", "deny", "allow")
"""Settings of `[mask]` that are recorded by a digest alone: they name people, files and code."""
_LATER_MASK_SETTINGS = ("language", *OWN_RULES)
DETECTORS = ("default", "light", "multilingual", "rules")
PositiveInt = Annotated[int, Field(gt=0)]
PostgresUrl = Annotated[str, Field(pattern=r"^postgresql(\+psycopg)?://")]
TenantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
MOST_DELTA = 1e-3  # a larger one promises nothing worth the name, however few owners there are
EntityType = Annotated[str, Field(pattern=f"^({'|'.join(ENTITY_TYPES)})$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestSettings(_Section):
    """Names of the fields of a record, and size limits for documents and shards."""

    text_field: str = "text"  # field of the text; dots reach into nested records
    id_field: str = "id"  # field of the id that the document has in its source
    label_field: str | None = (
        None  # field of the class, or of a list of classes; None: "label" where records have it
    )
    # Field naming the owner, or a list of owners; None: each document is its own owner.
    owner_field: str | None = None
    split_field: str | None = None  # records whose value is not "train" are held out
    max_file_bytes: PositiveInt = 64 * MIB  # a larger file that is one document is quarantined
    max_text_bytes: PositiveInt = 256 * MIB  # the same, for the unpacked size
    read_seconds: PositiveInt = 120  # CPU time to read one file or record; by the clock, ten times as much
    read_bytes: PositiveInt = 512 * MIB  # memory to read one file
    shard_documents: PositiveInt = 256  # the most documents per shard, the unit of work
    shard_bytes: PositiveInt = MIB  # the most text per shard; masking reads about 60 kB per second
    ocr: bool = True  # read scanned pages if Tesseract is installed
    unread_pages: bool = False  # accept a document without the pages that cannot be read, and count them
    # Read formats without a reader (epub, hwp, pages and others) as one text each; needs the extra `others`
    other_formats: bool = False
    removed: Literal["keep", "erase"] = "keep"  # keep or erase documents whose file was removed
    removed_share: Annotated[float, Field(gt=0, le=1)] = (
        0.5  # the largest share of a folder that may be erased at once
    )


class MaskSettings(_Section):
    """Policy of the masking, and the detector. `lexveil.nlp.masking.policy` documents the actions.

    `detector` is "default", "light", "multilingual", "rules" (no learned detector) or the path of a
    token-classification folder. With `scope` = "matter", all documents
    of an owner share their pseudonyms.
    """

    preset: Preset = "balanced"  # the policy to start from
    detector: str = "default"  # "default", "light", "multilingual", "rules" or a folder
    language: str | None = None  # ISO 639-1 code of the language of all documents; None: each is detected
    scope: Literal["document", "matter"] = "document"  # where a person has the same pseudonym
    direct: Action | None = None  # action for names, contacts, numbers; None: that of the preset
    quasi: Action | None = None  # action for dates, ages, places, companies; None: that of the preset
    types: dict[EntityType, Action] = {}  # actions by entity type; they override direct and quasi
    roles: dict[str, Action] = {}  # actions by role in the case; they override the type
    dates: Dates = "year"  # what a generalized date keeps
    # Recognizers of your own: "package.module:Class", "path/file.py:Class", or the name of an entry point of
    # the group lexveil.recognizers
    recognizers: tuple[str, ...] = ()
    recognizer_files: tuple[Path, ...] = ()  # YAML files of Presidio's recognizers
    # Types of your recognizers that Lexveil does not have, and the type that each counts as
    foreign_types: dict[str, EntityType] = {}
    deny: dict[EntityType, tuple[str, ...]] = Field(default={}, repr=False)  # strings always masked, by type
    allow: tuple[str, ...] = Field(default=(), repr=False)  # strings never masked

    @model_serializer(mode="wrap")
    def _leave_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # With settings that came later, the digests of workspaces that do not use them would change, and
        # their models would be trained again.
        later = {name: self.__class__.model_fields[name].get_default() for name in _LATER_MASK_SETTINGS}
        values: dict[str, Any] = write(self)
        return {name: value for name, value in values.items() if later.get(name, ...) != getattr(self, name)}

    @property
    def sensitivity(self) -> Literal["balanced", "strict"]:
        """Operating point of the detector."""
        return "strict" if self.preset == "strict" else "balanced"

    @property
    def own_rules(self) -> OwnRules:
        """Recognizers and lists of the office."""
        return OwnRules(
            self.recognizers,
            tuple(map(str, self.recognizer_files)),
            tuple(sorted(self.foreign_types.items())),
            tuple(sorted((kind, tuple(sorted(strings))) for kind, strings in self.deny.items())),
            tuple(sorted(self.allow)),
        )

    @property
    def policy(self) -> Policy:
        """Policy that the settings describe.

        Raises:
            PolicyError: the settings contradict each other.
        """
        return build_policy(self.preset, self.direct, self.quasi, self.types, self.roles, self.dates)

    @model_validator(mode="after")
    def _check_policy_and_detector(self) -> Self:
        try:
            _ = self.policy
        except PolicyError as error:
            raise PydanticCustomError(_REFUSED, "{reason}", {"reason": str(error)}) from None
        if self.detector not in DETECTORS and not Path(self.detector).is_dir():
            names = ", ".join(DETECTORS)
            raise PydanticCustomError(_REFUSED, f"detector: neither one of {names} nor a folder")
        if self.language is not None and self.language not in LANGUAGES:
            reason = f"language: none of {', '.join(sorted(LANGUAGES))}"
            raise PydanticCustomError(_REFUSED, "{reason}", {"reason": reason})
        _check_lists(self.deny, self.allow)
        return self


def _check_lists(deny: Mapping[str, Sequence[str]], allow: Sequence[str]) -> None:
    denied = [string for strings in deny.values() for string in strings]
    if any(sum(c.isalnum() for c in string) < 2 for string in (*denied, *allow)):
        raise PydanticCustomError(_REFUSED, "deny, allow: a string has fewer than two letters or digits")
    if {" ".join(string.split()) for string in denied} & {" ".join(string.split()) for string in allow}:
        raise PydanticCustomError(_REFUSED, "deny, allow: a string is in both")


def _read_labels(value: object) -> object:
    """Return a list of classes as it is kept: stripped, sorted, each once.

    A path stands for its lines, and a JSON array, as in the environment, for its entries.
    """
    if isinstance(value, str | Path):
        try:
            is_array = str(value).lstrip().startswith("[")
            value = json.loads(str(value)) if is_array else Path(value).read_text("utf-8-sig").splitlines()
        except (OSError, ValueError):
            raise PydanticCustomError(_BAD_LIST, "neither a list nor a file of UTF-8 text") from None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return value  # None, or refused by its type
    names = sorted({name.strip() for name in value} - {""})
    if len(names) < 2:
        raise PydanticCustomError(_BAD_LIST, "names fewer than two classes")
    return tuple(names)


class TrainSettings(_Section):
    """The differentially private training run. What is not set is taken from the recipe of the model kind."""

    # Kind of the feature extractor; docs/how-to/own-data.md says when to use which
    model: Kind = "linear"
    # multilabel: any number of classes per document. With `labels`, auto is classify. Without, the documents
    # decide: auto is denoise if none has a label; auto and classify are multilabel if a label is a list.
    objective: Literal["auto", "classify", "multilabel", "denoise"] = "auto"
    # The classes, which count as public: a list, or a file with one class per line. None: taken from the
    # documents; each name is then masked, and a rare class can reveal its document.
    labels: Annotated[tuple[str, ...] | None, BeforeValidator(_read_labels)] = None
    other_labels: Literal["drop", "other"] = (
        "drop"  # documents with a class outside `labels`: not trained on, or of the class "other"
    )
    epsilon: Annotated[float, Field(ge=1e-6, le=1000)] = 8.0  # privacy budget of the whole run
    delta: Annotated[float, Field(ge=1e-12, le=MOST_DELTA)] = 1e-5  # must be below 1 / (number of owners)
    sample_rate: Annotated[float, Field(ge=1e-6, le=1)] | None = None  # probability that a step uses an owner
    steps: Annotated[int, Field(gt=0, le=1_000_000)] | None = None  # number of noisy gradient steps
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # length of a step
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = (
        None  # clipping norm of an owner's gradient
    )
    max_batch: PositiveInt | None = None  # the most owners per step; accounted as truncated Poisson sampling
    max_items_per_owner: PositiveInt = 64  # the most documents or chunks that an owner contributes
    micro_batch: PositiveInt | None = None  # items in memory at once; does not affect privacy
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: the GPU if there is one
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = (
        60.0  # seconds between checkpoints; 0: after each step
    )
    lora_rank: Annotated[int, Field(ge=1, le=256)] = 8  # rank of the adapters of model "lora"
    last_layers: Annotated[int, Field(ge=1, le=2)] = 1  # number of layers that model "last_layers" trains
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share of the owners that are never trained on
    encoder: Path | None = None  # folder of a Hugging Face encoder; None: the public MiniLM package
    # Number format of the frozen encoder's linear layers. None: that with which the workspace was made, now
    # int8; with another encoder, bfloat16
    precision: Precision | None = None
    chunk_length: Annotated[int, Field(ge=8, le=512)] = DEFAULT_CHUNK_LENGTH  # tokens per chunk
    chunk_limit: PositiveInt = DEFAULT_CHUNK_LIMIT  # chunks per document, evenly spaced if it has more
    # length: chunks of a document are equally long. paragraphs: a chunk begins with a heading, or else with a
    # paragraph, where that makes none shorter than three quarters.
    chunk_ends: ChunkEnds = DEFAULT_CHUNK_ENDS
    # What a model that takes embeddings reads of a document. embedding: the encoder's embedding. legal-1:
    # that, and features of the text's words. multilingual-1: these words beside the embedding by
    # multilingual-e5-small, for documents that are not mainly English. None: that with which the workspace
    # was made, now legal-1; with another encoder, embedding
    representation: Representation | None = None
    diagnostics: bool = False  # also train without privacy, for the report only
    seed: int | None = None  # tests only: a known seed voids the guarantee, and the model card says so

    @property
    def chosen_representation(self) -> Representation:
        """What a model that takes embeddings reads; an opened workspace has named it."""
        return self.representation or "embedding"

    @property
    def chosen_precision(self) -> Precision:
        """Number format of the frozen encoder's linear layers; an opened workspace has named it."""
        return self.precision or DEFAULT_PRECISION


class LedgerSettings(_Section):
    """The privacy ledger, and the limit of a population."""

    # URL of the ledger's database; None: the workspace's database, or SQLite under the protected root
    url: Annotated[str | None, Field(repr=False)] = None
    # Name of a set of people; the same in every workspace with documents about them
    population: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "default"
    # What counts as one; None: "owner" if documents name owners. A population keeps that of its first charge.
    unit: Literal["owner", "document"] | None = None
    limit_epsilon: Annotated[float, Field(gt=0)] = 10.0  # set at first use; changed by `lexveil ledger limit`
    limit_delta: Annotated[float, Field(gt=0, le=MOST_DELTA)] = (
        1e-5  # below 1 / (number of owners); set at first use, changed by `lexveil ledger limit`
    )


class DatabaseSettings(_Section):
    """A PostgreSQL database for the keys, the catalogue and the log, which several workspaces may share.

    It also stores the ledger, unless `ledger.url` names another database.
    """

    # URL of the database; None: files under the workspace's protected root
    url: Annotated[PostgresUrl | None, Field(repr=False)] = None


class TenantSettings(_Section):
    """Limits of one tenant of the endpoint. Limits that are not set are those of all tenants."""

    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0  # share of the workers while others wait, too
    slots_per_minute: PositiveInt | None = None  # document slots
    slots_per_day: PositiveInt | None = None  # document slots
    requests_at_once: PositiveInt | None = None  # the most requests at a time
    cpu_seconds_per_minute: Annotated[float, Field(gt=0)] | None = None  # CPU time
    bytes_per_minute: PositiveInt | None = None  # bytes of request bodies
    leakage_limit: Annotated[float, Field(gt=0, le=1)] | None = None  # total variation of its answers


class EncryptedSettings(_Section):
    """The encrypted check of the main job, and the endpoint.

    A document slot is the space for one document in a ciphertext, whether it is used or not.
    """

    sample: PositiveInt = 64  # number of documents in the check
    profile: Profile = "sealed"  # sealed: replies are flooded with noise; see docs/threat-model.md
    host: str = "127.0.0.1"  # interface to listen on; any but the loopback needs API keys and TLS
    port: Annotated[int, Field(ge=0, le=65535)] = 8300  # 0: any free port
    tls_certificate: Path | None = None  # PEM file
    tls_key: Path | None = None  # PEM file
    tls_client_authority: Path | None = None  # PEM file; clients need a certificate that it signed
    # Danger: listen without TLS on other interfaces than the loopback, because a proxy in front ends TLS.
    # Whoever reads the network between the two can use the clients' API keys.
    insecure_http: bool = False
    # Names by which clients may call the endpoint, besides those of the loopback; if empty: on the loopback
    # no others, else any
    hosts: tuple[str, ...] = ()
    workers: PositiveInt | None = None  # worker processes; None: the machine's cores minus one
    worker_mib: Annotated[int, Field(ge=256)] = 3072  # memory limit of a worker process
    request_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0  # CPU time limit of one ciphertext
    waiting: PositiveInt = 64  # requests that may wait for a worker; further ones get 503
    session_seconds: PositiveInt = 8 * 3600  # lifetime of a client's evaluation keys
    sessions_per_tenant: PositiveInt = 16  # the most open sessions of a tenant
    key_bytes_per_tenant: PositiveInt = 256 * MIB  # the most evaluation keys of a tenant on disk
    slots_per_minute: PositiveInt = 200_000  # document slots per tenant; further ones get 429
    slots_per_day: PositiveInt = 2_000_000  # the same, per day
    requests_at_once: PositiveInt = 16  # the most requests of a tenant at a time
    # CPU time of a tenant's evaluations, key checks and refused requests; None: 75 for each worker
    cpu_seconds_per_minute: Annotated[float, Field(gt=0)] | None = None
    bytes_per_minute: PositiveInt = 2048 * MIB  # bytes of a tenant's request bodies; further ones get 429
    # Total variation between a tenant's answers of a sealed head and answers of logits alone; beyond it, 429.
    # 0.25 are a million documents of a network, a billion of a linear head (in blocks of eight)
    leakage_limit: Annotated[float, Field(gt=0, le=1)] = 0.25
    # URL of the PostgreSQL database, no workspace's, that replicas of the endpoint share; None: one server,
    # whose state is in its folder
    state_url: Annotated[PostgresUrl | None, Field(repr=False)] = None
    # 64 hexadecimal digits, the same for all replicas, which seal with them what is secret in that database
    state_key: Annotated[str | None, Field(pattern=r"^[0-9a-fA-F]{64}$", repr=False)] = None
    # Limits of single tenants, by name, which override those above
    tenants: dict[TenantName, TenantSettings] = {}

    @model_validator(mode="after")
    def _check_state(self) -> Self:
        if (self.state_url is None) != (self.state_key is None):
            raise PydanticCustomError(_REFUSED, "state_url: replicas need state_url and state_key")
        return self


class Settings(_Section):
    """Everything a run depends on. Unknown names are refused, not ignored."""

    ingest: IngestSettings = IngestSettings()
    mask: MaskSettings = MaskSettings()
    train: TrainSettings = TrainSettings()
    ledger: LedgerSettings = LedgerSettings()
    database: DatabaseSettings = DatabaseSettings()
    encrypted: EncryptedSettings = EncryptedSettings()
    master_key_file: Path | None = None  # None: <workspace>/protected/master.key, created on first use
    # vault://<transit mount>/<key> or aws-kms://<key id or alias>; overrides the file and the environment
    master_key_service: Annotated[str, Field(pattern=r"^(vault://[^/]+(/[^/]+)+|aws-kms://.+)$")] | None = (
        None
    )
    workers: PositiveInt | None = None  # worker processes; None: the machine's cores, at most 4
    runner: Literal["processes", "dask", "ray"] = "processes"  # where shards are processed
    runner_address: str | None = Field(
        default=None, repr=False
    )  # a Dask or Ray cluster; None: one on this machine
    shard_seconds: PositiveInt = 7200  # a worker that takes longer for a shard is stopped

    @model_validator(mode="after")
    def _check_databases(self) -> Self:
        state = self.encrypted.state_url
        if state is not None and state in (self.database.url, self.ledger.url):
            raise PydanticCustomError(
                _REFUSED, "encrypted.state_url: the endpoint needs a database of its own, not the workspace's"
            )
        return self


def find_settings_file(config: Path | None = None) -> Path | None:
    """Return `config`, or else `lexveil.toml` in the working folder if it exists."""
    default = Path("lexveil.toml")
    return config or (default if default.is_file() else None)


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Load the settings from the command line, the environment and a file; each overrides the next.

    Args:
        config: TOML file; None: that of `find_settings_file`.
        overrides: values from the command line, nested like the settings. None means "not given".

    Raises:
        SettingsError: the file is unreadable, a name is unknown, or a value is out of range; the line names
            the setting.
    """
    layers = (_read_file(find_settings_file(config)), _read_environment(), _drop_none(overrides))
    try:
        return Settings.model_validate(functools.reduce(_merge, layers))
    except ValidationError as error:
        raise _to_settings_error(error) from None


def _read_environment() -> dict[str, Any]:
    """Read the variables of the environment that are settings.

    `LEXVEIL_TRAIN__EPSILON=3` is a setting, `LEXVEIL_MASK__TYPES__EMAIL=token` an entry of a dictionary;
    `LEXVEIL_TRAIN` may hold a whole section as a JSON object. An empty variable counts as not set.

    Raises:
        SettingsError: a variable names no setting, or holds no JSON where a section or a list is expected.
    """
    values: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        if not text or not variable.upper().startswith(_PREFIX) or _is_no_setting(variable, text):
            continue
        names = _find_setting(variable.upper().removeprefix(_PREFIX).split("__"))
        if names is None:
            raise SettingsError(f"the environment variable {variable} names no setting{_suggest(variable)}")
        value = _parse(names, variable, text)
        for name in reversed(names):
            value = {name: value}
        values = _merge(values, value)
    return values


def _is_no_setting(variable: str, text: str) -> bool:
    is_link = _LINK.fullmatch(variable) and (not variable.endswith("_PORT") or "://" in text)
    return variable.upper() in NO_SETTINGS or bool(is_link)


def _find_setting(words: Sequence[str]) -> list[str] | None:
    """Return the names that lead to a setting, or to a key of a dictionary; None if there is none."""
    names: list[str] = []
    model: type[BaseModel] = Settings
    for position, word in enumerate(words):
        name, field = word.lower(), model.model_fields.get(word.lower())
        names.append(name)
        if field is None:
            return None
        rest = words[position + 1 :]
        if not rest:
            return names
        if get_origin(field.annotation) is dict and len(rest) == 1:
            # The names of types are capital letters, those of roles small ones.
            known = (key for key in (*ENTITY_TYPES, *ROLES) if key.casefold() == rest[0].casefold())
            return [*names, next(known, rest[0])]
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return names


def _parse(names: Sequence[str], variable: str, text: str) -> Any:
    """Return the value of a variable: JSON for a section, a dictionary or a list, and text for any other."""
    annotation: Any = Settings
    for name in names:
        fields = getattr(annotation, "model_fields", {})
        annotation = fields[name].annotation if name in fields else str  # a key of a dictionary has a text
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    kinds = [kind for kind in (get_origin(member) or member for member in members) if isinstance(kind, type)]
    is_list = any(issubclass(kind, list | tuple) for kind in kinds) and text.startswith("[")
    if not is_list and not any(issubclass(kind, BaseModel | dict) for kind in kinds):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise SettingsError(
            f"the environment variable {variable} holds no JSON; name one setting per variable, as in "
            "LEXVEIL_TRAIN__EPSILON=3"
        ) from None


def _suggest(given: str) -> str:
    """Return a question after the setting that was meant, or nothing.

    Args:
        given: a variable of the environment, or the name of a setting with dots.
    """
    names = [*_list_names(Settings)]
    if given.upper().startswith(_PREFIX):
        given = given.upper()
        names = [_PREFIX + name.replace(".", "__").upper() for name in names] + sorted(NO_SETTINGS)
    last = {re.split(r"\.|__", name)[-1]: name for name in names}
    close = difflib.get_close_matches(given, names, 1, 0.75) or [last.get(given.removeprefix(_PREFIX))]
    return f"; did you mean {close[0]}?" if close[0] else ""


def _list_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the names of all sections and settings, with dots."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _list_names(field.annotation, f"{prefix}{name}.")


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both values; where both have one, that of `above`, or both merged if they are dictionaries."""
    merged = {**below, **above}
    for name in below.keys() & above.keys():
        low, high = below[name], above[name]
        if isinstance(low, dict) and isinstance(high, dict):
            merged[name] = _merge(cast("dict[str, Any]", low), cast("dict[str, Any]", high))
    return merged


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SettingsError(f"cannot read the configuration file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise SettingsError(f"{path} is not valid TOML") from None


def _drop_none(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {
        section: {name: value for name, value in values.items() if value is not None}
        if isinstance(values, dict)
        else values
        for section, values in overrides.items()
        if values is not None
    }


def _to_settings_error(error: ValidationError) -> SettingsError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return SettingsError(f"there is no setting {name}{_suggest(name)}")
    separator = "." if first["type"] == _REFUSED else ": "  # such a message begins with the setting's name
    return SettingsError(f"setting {name}{separator}{first['msg']}")
