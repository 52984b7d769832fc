"""The errors a user of Lexveil can meet, as one tree.

    LexveilError                 exit code 1
      UserError                  exit code 2   what was asked can't be done as asked; nothing was written
        SettingsError                          an option, environment variable or lexveil.toml is wrong
        SourceError                            a source lacks what was named, or can't be used as asked
          SourceMissing                        a source can't be found or read; named to the terminal only
        RemovalRefused                         more documents would go with their files than may go at once
        WorkspaceError                         the workspace is absent, locked, or of another schema version
        KeyProblem                             the master key is unreadable, unsafe or not this workspace's
        TrainingRefused                        the data can't train what was asked (labels, owners, model)
        ServingProblem                         the classification endpoint can't be reached or used
      BudgetRefused              exit code 3   the privacy ledger refuses the run
      AuditFailed                exit code 4   the software's attack on itself has broken a claim
      TrainingStopped            exit code 5   a training run met a number that isn't finite; it is charged
      StorageFailed              exit code 1   the object store failed at work; what is finished stays
      StageError                 exit code 1   a stage failed; holds the stage and the type of the cause only

No message holds document text, a personal name, a path that a document brought along, or a key. A path that
the user typed may stand in a `UserError`, which is raised before any scheduler is started.
"""

from __future__ import annotations


class LexveilError(Exception):
    """Base of everything Lexveil raises on purpose."""

    exit_code = 1


class UserError(LexveilError):
    """What was asked can't be done as asked. Raised before anything is written."""

    exit_code = 2


class SettingsError(UserError):
    """An option, an environment variable or `lexveil.toml` is wrong."""


class SourceError(UserError):
    """A source lacks what was named, or can't be used as asked."""


class SourceMissing(SourceError):
    """A source can't be found or read. The message names it: `logs.sealed` lets none of that out."""


class RemovalRefused(UserError):
    """So many files of a source folder are gone that it may not be mounted. Nothing was erased."""


class WorkspaceError(UserError):
    """The workspace is absent, in use, or of another schema version."""


class KeyProblem(UserError):
    """The master key can't be read, is open to others, or isn't the one of this workspace."""


class TrainingRefused(UserError):
    """The documents can't train what was asked for."""


class ServingProblem(UserError):
    """The classification endpoint can't be reached, or refuses."""


class BudgetRefused(LexveilError):
    """The privacy ledger refuses a run that would pass the limit of its population."""

    exit_code = 3


class AuditFailed(LexveilError):
    """The audit of a model has failed: what its card says of privacy can't be relied on."""

    exit_code = 4


class TrainingStopped(LexveilError):
    """A training run met a loss or gradient that isn't finite. Its steps are charged, that one included."""

    exit_code = 5


class StorageFailed(LexveilError):
    """The object store of a workspace can't be reached any more, or refuses. What is finished stays."""


class StageError(LexveilError):
    """A stage failed. Its message is `stage: TypeOfCause`, so that schedulers may store it."""
