"""The errors whose text is meant for the person at the keyboard."""

from __future__ import annotations


class CvaError(Exception):
    """Something failed; the message gives the value, what was expected and the next command."""

    exit_code = 1


class UsageError(CvaError):
    """The command was called with something it cannot take."""

    exit_code = 2


class ModelError(CvaError):
    """A model artefact is missing, altered, or does not fit the data it is given."""
