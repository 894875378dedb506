"""The exceptions that are meant for the person at the keyboard."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPERM, EROFS

_LISTED = 40  # choices that a sentence can hold
_LINE = 200  # characters of a library's message that a sentence can hold


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and the command that mends it.

    The command line prints the message alone and exits with status 1; with ``--debug`` (or
    ``ELEATT_DEBUG=1``) it shows the traceback as well.
    """

    exit_status = 1


class HeldElsewhereError(UserError):
    """Another process does the same work; a sweep comes back to it later."""

    exit_status = 75  # EX_TEMPFAIL of sysexits.h


class DamagedDataError(UserError):
    """The store of a data set cannot be used; tables and reports go on without it."""


_OF_THE_DISK = {ENOSPC, EDQUOT, EFBIG, EIO, EROFS, EACCES, EPERM}


def reason(error: Exception) -> str:
    """What ``error`` says, without the name of a file, for a sentence that has the name already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def in_a_line(error: BaseException) -> str:
    """What a library's ``error`` says, in a line that may be cut; its type if that tells more."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = " ".join(str(said).split())  # a KeyError itself would put what it says in quotes
    if not text or not text.isprintable():
        return type(error).__name__
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def disk_message(error: OSError, elsewhere: str) -> str:
    """A message about ``error``; if a file cannot be read or written, it also says what helps.

    ``elsewhere`` says how to choose another place.
    """
    what = reason(error)
    name = error.filename
    if error.errno not in _OF_THE_DISK:
        return f"{name}: {what}" if name else what
    unreadable = name and os.access(name, os.F_OK) and not os.access(name, os.R_OK)
    doing = f"Cannot {'read' if unreadable else 'write to'} {name or 'the output'}: {what}"
    mend = "Make room there" if error.errno in (ENOSPC, EDQUOT) else "Mend that"
    return f"{doing}. {mend}, or choose another place with {elsewhere}"


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """A `UserError` for a ``name`` that is not among ``choices``.

    It suggests the nearest choice, and lists some or all. ``kind`` says in words what the name
    stands for, e.g. ``"data set"``.
    """
    choices = sorted(choices)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    some, rest = choices[:_LISTED], len(choices) - _LISTED
    more = f" and {rest:,} more" if rest > 0 else ""
    return UserError(f"Unknown {kind} {name!r}.{hint} Choices: {', '.join(some)}{more}")
