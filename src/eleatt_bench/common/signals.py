"""Signals that wait where what their handlers raise must not cut something in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_afterwards() -> Iterator[list[int]]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the body has ended, and then come.

    Yields the numbers of those that wait, so that a long body can end early. Handlers run in the
    main thread alone, so in another one nothing changes.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    handlers = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield came
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for signal_number in came:
            signal.raise_signal(signal_number)
