"""The exceptions that are meant for the person at the keyboard."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LISTED = 40  # choices that a sentence can hold


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and the command that mends it.

    The command line prints the message alone and exits with status 1; with ``--debug`` (or
    ``ELEATT_DEBUG=1``) it shows the traceback as well.
    """

    exit_status = 1


class HeldElsewhereError(UserError):
    """Another process is at the same work; a sweep comes back to it later."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """A `UserError` for a name that is not among ``choices``: the nearest match, and some or all.

    ``kind`` says in words what the name stands for, e.g. ``"data set"``.
    """
    choices = sorted(choices)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    some, rest = choices[:_LISTED], len(choices) - _LISTED
    more = f" and {rest:,} more" if rest > 0 else ""
    return UserError(f"Unknown {kind} {name!r}.{hint} Choices: {', '.join(some)}{more}")
