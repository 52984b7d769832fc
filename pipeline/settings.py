"""One typed configuration: defaults < `lexveil.toml` < environment (`LEXVEIL_...`) < command line.

The comment beside or above a setting is its entry in the reference of the documentation (docs/hooks.py).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentUnreadable

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.policy import Action, Dates, Policy, PolicyRefused, Preset, policy_of
from lexveil.pipeline.errors import SettingsError

MIB = 1 << 20
_REFUSED = "lexveil_refused"
DETECTORS = ("default", "light", "rules")
PositiveInt = Annotated[int, Field(gt=0)]
PostgresUrl = Annotated[str, Field(pattern=r"^postgresql(\+psycopg)?://")]
Probability = Annotated[float, Field(gt=0, lt=1)]


EntityType = Annotated[str, Field(pattern=f"^({'|'.join(ENTITY_TYPES)})$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestSettings(_Section):
    """Which fields of a record mean what, and how much one document may weigh."""

    text_field: str = "text"  # field of the text; dots reach into nested records
    id_field: str = "id"  # field of the document's own id
    label_field: str | None = None  # the class, or a list of them; None: "label" where records have it
    owner_field: str | None = None  # whose privacy counts as one; None: every document is its own owner
    split_field: str | None = None  # records whose value isn't "train" are held out
    max_file_bytes: PositiveInt = 64 * MIB  # a larger file that is one document goes to the quarantine
    max_text_bytes: PositiveInt = 256 * MIB  # the same for what a file unpacks to
    shard_documents: PositiveInt = 256  # the most documents a shard, the unit of work
    shard_bytes: PositiveInt = MIB  # the most text a shard; masking reads about 60 kB a second
    ocr: bool = True  # read scanned pages where Tesseract is installed
    removed: Literal["keep", "erase"] = "keep"  # documents whose file is no longer in its source folder
    removed_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # the most of one folder that may go at once


class MaskSettings(_Section):
    """What is masked, how, and by which detector. `lexveil.nlp.masking.policy` says what the actions mean.

    `detector` is "default", "light", "rules" (no learnt detector) or the path of a token-classification
    folder. With `scope` = "matter", all documents of an owner share their pseudonyms.
    """

    preset: Preset = "balanced"  # the policy to start from
    detector: str = "default"  # "default", "light", "rules" or a folder
    scope: Literal["document", "matter"] = "document"  # within what a person keeps one pseudonym
    direct: Action | None = None  # names, contacts, numbers; None: as the preset says
    quasi: Action | None = None  # all else: dates, ages, places, companies; None: as the preset says
    types: dict[EntityType, Action] = {}  # single types, before direct and quasi
    roles: dict[str, Action] = {}  # who somebody is in the case, before the type
    dates: Dates = "year"  # what is left of a generalised date

    @property
    def sensitivity(self) -> Literal["balanced", "strict"]:
        """The operating point of the detector."""
        return "strict" if self.preset == "strict" else "balanced"

    @property
    def policy(self) -> Policy:
        return policy_of(self.preset, self.direct, self.quasi, self.types, self.roles, self.dates)

    @model_validator(mode="after")
    def _without_contradiction(self) -> Self:
        try:
            _ = self.policy
        except PolicyRefused as error:
            raise PydanticCustomError(_REFUSED, "{reason}", {"reason": str(error)}) from None
        if self.detector not in DETECTORS and not Path(self.detector).is_dir():
            names = ", ".join(DETECTORS)
            raise PydanticCustomError(_REFUSED, f"detector: neither one of {names} nor a folder")
        return self


class TrainSettings(_Section):
    """The differentially private training run. `None` takes the recipe of the model kind."""

    # The kind of the extractor: docs/utility.md compares them.
    model: Literal["linear", "mlp", "lstm", "square", "cubic", "lora", "last_layers", "full"] = "linear"
    objective: Literal["auto", "classify", "denoise"] = "auto"  # auto: classify where there are labels
    epsilon: Annotated[float, Field(ge=1e-6, le=1000)] = 8.0  # of the whole run
    delta: Annotated[float, Field(ge=1e-12, lt=1)] = 1e-5  # below one over the number of owners
    sample_rate: Annotated[float, Field(ge=1e-6, le=1)] | None = None  # probability of an owner in a step
    steps: Annotated[int, Field(gt=0, le=1_000_000)] | None = None  # of noise and descent
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # size of a step
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # of an owner's gradient
    max_batch: PositiveInt | None = None  # the most owners a step; accounted as truncated Poisson sampling
    max_items_per_owner: PositiveInt = 64  # documents or chunks that an owner may contribute
    micro_batch: PositiveInt | None = None  # items in memory at once; costs no privacy
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: the GPU where there is one
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0  # 0: after each step
    lora_rank: Annotated[int, Field(ge=1, le=256)] = 8  # of the adapters of model "lora"
    last_layers: Annotated[int, Field(ge=1, le=2)] = 1  # how many model "last_layers" trains
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share of the owners never trained on
    encoder: Path | None = None  # folder of a Hugging Face encoder; None: the public MiniLM package
    precision: Literal["bfloat16", "float32"] = "bfloat16"  # of the frozen encoder's products
    chunk_length: Annotated[int, Field(ge=8, le=512)] = 128  # tokens that the encoder reads at once
    chunk_limit: PositiveInt = 16  # chunks of a document, evenly spaced where it has more
    diagnostics: bool = False  # also train without privacy, for the report only
    seed: int | None = None  # tests only: a known seed voids the guarantee, and the model card says so


class LedgerSettings(_Section):
    """Where spending is kept, and how far one population may go."""

    # None: the database, else SQLite under the protected root.
    url: Annotated[str | None, Field(repr=False)] = None
    # One name for one set of people, in every workspace that holds them.
    population: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "default"
    limit_epsilon: Annotated[float, Field(gt=0)] = 10.0  # at first use; later by `lexveil ledger limit`
    limit_delta: Probability = 1e-5  # the same


class DatabaseSettings(_Section):
    """A PostgreSQL database that keeps the keys, the catalogue and the log; the ledger too, unless
    `ledger.url` names another. Several workspaces may share it."""

    # None: files under the workspace's protected root.
    url: Annotated[PostgresUrl | None, Field(repr=False)] = None


class EncryptedSettings(_Section):
    """The encrypted check of the main job, and the endpoint.

    A document slot is room for a document in a ciphertext, whether it is filled or not.
    """

    sample: PositiveInt = 64  # documents of the check
    profile: Literal["sealed", "fast"] = "sealed"  # whether replies are flooded; docs/threat-model.md
    host: str = "127.0.0.1"  # interface; on another than the loopback it needs API keys and TLS
    port: Annotated[int, Field(ge=0, le=65535)] = 8300  # 0: any free one
    tls_certificate: Path | None = None  # PEM file
    tls_key: Path | None = None  # PEM file
    tls_client_authority: Path | None = None  # mutual TLS: clients need a certificate of it
    workers: PositiveInt | None = None  # None: the machine's cores less one
    worker_mib: Annotated[int, Field(ge=256)] = 3072  # the most memory of a worker process
    request_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0  # the most time for an evaluation
    waiting: PositiveInt = 64  # requests that may wait for a worker before others get 503
    session_seconds: PositiveInt = 8 * 3600  # how long a client's evaluation keys are kept
    sessions_per_tenant: PositiveInt = 16  # at a time
    key_bytes_per_tenant: PositiveInt = 256 * MIB  # evaluation keys on disk
    slots_per_minute: PositiveInt = 200_000  # document slots of a tenant; more get 429
    slots_per_day: PositiveInt = 2_000_000  # the same over a day
    requests_at_once: PositiveInt = 16  # of a tenant


class Settings(_Section):
    """Everything a run depends on. Unknown names are refused, not ignored."""

    ingest: IngestSettings = IngestSettings()
    mask: MaskSettings = MaskSettings()
    train: TrainSettings = TrainSettings()
    ledger: LedgerSettings = LedgerSettings()
    database: DatabaseSettings = DatabaseSettings()
    encrypted: EncryptedSettings = EncryptedSettings()
    master_key_file: Path | None = None  # None: <workspace>/protected/master.key, made on first use
    # vault://<transit mount>/<key> or aws-kms://<key id or alias>; goes before the file and the environment
    master_key_service: Annotated[str, Field(pattern=r"^(vault://[^/]+(/[^/]+)+|aws-kms://.+)$")] | None = (
        None
    )
    workers: PositiveInt | None = None  # None: the machine's cores, at most 4
    runner: Literal["processes", "dask", "ray"] = "processes"  # where the shards of a run are carried out
    runner_address: str | None = Field(default=None, repr=False)  # a Dask or Ray cluster; None: one made here
    shard_seconds: PositiveInt = 7200  # a worker is ended that takes longer over a shard


class _Environment(BaseSettings):
    """`LEXVEIL_TRAIN__EPSILON=3` and the like, as nested raw values; `Settings` validates them."""

    model_config = SettingsConfigDict(
        env_prefix="LEXVEIL_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
    )

    ingest: dict[str, Any] = {}
    mask: dict[str, Any] = {}
    train: dict[str, Any] = {}
    ledger: dict[str, Any] = {}
    database: dict[str, Any] = {}
    encrypted: dict[str, Any] = {}
    master_key_file: str | None = None
    master_key_service: str | None = None
    workers: str | None = None
    runner: str | None = None
    runner_address: str | None = None
    shard_seconds: str | None = None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        merged[name] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def settings_file(config: Path | None = None) -> Path | None:
    """`config`, else `lexveil.toml` of the working folder where there is one."""
    usual = Path("lexveil.toml")
    return config or (usual if usual.is_file() else None)


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    `config` is a TOML file (None: that of `settings_file`); `overrides` are nested dictionaries from the
    command line, whose None values mean "not given".

    Raises:
        SettingsError: unreadable file, unknown name or a value out of range; the line names the field.
    """
    path = settings_file(config)
    data: dict[str, Any] = {}
    if path is not None:
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise SettingsError(f"can't read the configuration file {path}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            raise SettingsError(f"{path} isn't valid TOML") from None
    given = {
        section: {name: value for name, value in values.items() if value is not None}
        if isinstance(values, dict)
        else values
        for section, values in overrides.items()
        if values is not None
    }
    try:
        environment = _Environment().model_dump(exclude_unset=True)
    except EnvironmentUnreadable:
        raise SettingsError(
            "a variable LEXVEIL_<SECTION> of the environment holds no JSON object; "
            "name one setting a variable, as in LEXVEIL_TRAIN__EPSILON=3"
        ) from None
    except ValidationError as error:
        raise _refusal(error) from None
    try:
        return Settings.model_validate(_merge(_merge(data, environment), given))
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> SettingsError:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    within = "." if first["type"] == _REFUSED else ": "  # such a message begins with the name of the setting
    return SettingsError(f"setting {where}{within}{first['msg']}")
