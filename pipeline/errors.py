"""Errors that a user of Lexveil can meet, as one tree.

    LexveilError                 exit code 1
      UserError                  exit code 2   the request cannot be carried out as asked; nothing was written
        SettingsError                          an option, environment variable or lexveil.toml is wrong
        SourceError                            a source lacks what was named, or cannot be used as asked
          SourceMissingError                   a source cannot be found or read; only the terminal names it
        RemovalRefusedError                    more documents would be erased with their files than is allowed
        WorkspaceError                         the workspace is absent, locked, or of another schema version
        WorkspaceKeyError                      the master key is unreadable, unsafe or of another workspace
        TrainingRefusedError                   the data cannot train the model that was asked for
        AgreementError                         an agreement on joint training cannot be kept as it stands
        EndpointError                          the classification endpoint cannot be reached or used
      BudgetRefusedError         exit code 3   the privacy ledger refuses the run
      AuditFailedError           exit code 4   an attack on the model has disproved a privacy claim
      TrainingStoppedError       exit code 5   a weight was not finite after a training step; it is charged
      JointTrainingError         exit code 1   an office has left, or has sent what it may not
      StorageError               exit code 1   the object store failed during the work; finished shards stay
      StageError                 exit code 1   a stage failed; holds only the stage and the type of the cause

No message contains document text, a personal name, a path from within a document's source, or a key. A path
that the user typed may appear in a `UserError`, which is raised before any scheduler is started.
"""

from __future__ import annotations


class LexveilError(Exception):
    """Base class of all errors that Lexveil raises on purpose.

    Attributes:
        exit_code: exit status of the command line.
    """

    exit_code = 1


class UserError(LexveilError):
    """The request cannot be carried out as asked. Raised before anything is written."""

    exit_code = 2


class SettingsError(UserError):
    """An option, an environment variable or `lexveil.toml` is wrong."""


class SourceError(UserError):
    """A source lacks what was named, or cannot be used as asked."""


class SourceMissingError(SourceError):
    """A source cannot be found or read. `logs.seal_errors` removes its name from the message."""


class RemovalRefusedError(UserError):
    """So many files have disappeared from a source folder that it is probably not mounted.

    Nothing was erased.
    """


class WorkspaceError(UserError):
    """The workspace is absent, in use, or of another schema version."""


class WorkspaceKeyError(UserError):
    """The master key cannot be read, is readable by others, or belongs to another workspace."""


class TrainingRefusedError(UserError):
    """The documents cannot train the model that was asked for."""


class AgreementError(UserError):
    """An agreement on joint training is damaged, unsigned, or does not fit this office."""


class EndpointError(UserError):
    """The classification endpoint cannot be reached, or refuses the request."""


class BudgetRefusedError(LexveilError):
    """The privacy ledger refuses a run that would exceed the limit of its population."""

    exit_code = 3


class AuditFailedError(LexveilError):
    """The audit of a model has failed: the privacy claims on its card are not reliable."""

    exit_code = 4


class TrainingStoppedError(LexveilError):
    """A training step made a weight infinite or not a number. The steps are charged, including that one."""

    exit_code = 5


class JointTrainingError(LexveilError):
    """An office has left a joint training, or has sent what the agreement does not allow."""


class StorageError(LexveilError):
    """The object store of a workspace cannot be reached any more, or refuses access. Finished shards stay."""


class StageError(LexveilError):
    """A stage failed. The message is `stage: TypeOfCause`, so that schedulers may store it."""
