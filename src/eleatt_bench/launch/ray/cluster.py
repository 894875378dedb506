"""The Ray cluster: how to reach it, without output of Ray's own, and what its nodes have."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import UserError
from eleatt_bench.common.extras import require
from eleatt_bench.common.parallel import available_cores
from eleatt_bench.launch.settings import leased_gpus

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CLIENT_LOG_LEVEL": "CRITICAL",
}
"""Variables that keep Ray from sending statistics and from writing to the terminal."""

_STORE = 80 << 20  # bytes, about the least that Ray takes: jobs hand over nothing
_SECONDS = 10.0  # that a cluster may take to answer at all
_FRESH = 5.0  # seconds before Ray is asked again what the nodes have
_SIZES = {"": 20, "K": 10, "M": 20, "G": 30, "T": 40}  # as SLURM writes them


@dataclass(frozen=True)
class Lease:
    """What every job of a sweep leases of a node; ``memory`` in bytes, None: what the job needs."""

    cpus: int
    gpus: float
    memory: int | None
    threads: int

    def __str__(self) -> str:
        memory = [] if self.memory is None else [f"{self.memory / 2**30:.3g} GiB of memory"]
        gpus = [f"{self.gpus:g} GPU{'s' * (self.gpus > 1)}"] if self.gpus else []
        parts = [f"{self.cpus} CPU{'s' * (self.cpus > 1)}", *gpus, *memory]
        return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))

    def places(self, node: Mapping[str, float]) -> int:
        """How many such jobs a node with these resources has room for."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory or 0}
        return min(int(node.get(key, 0) / share) for key, share in wanted.items() if share)


def number_of_bytes(size: str) -> int:
    """The bytes of a size such as ``16G``, as SLURM reads it.

    Raises:
        ValueError: ``size`` is no size.
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)", size, re.I)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{size} is no size")
    return int(match[1]) << _SIZES[match[2].upper()]


def require_ray() -> Any:
    """Import Ray.

    Raises:
        UserError: it is not installed; the message has the command that installs it.
    """
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # before Ray is imported
    require("ray", "launcher=ray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        from ray._private import worker
    worker.print_to_stdstream = lambda *data, **how: None  # no setting hides news of lost nodes
    return ray


def _has_token() -> bool:
    """Whether there is a token where Ray looks for one.

    If there is one, Ray's commands use it, and so does ``ray.init`` for a cluster that it finds by
    itself. Clients and the submission of jobs would not.
    """
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()


class Cluster:
    """A connection to the Ray cluster that ``launcher.address`` names; `leave` it at the end.

    Raises:
        UserError: Ray is not installed, there is no such cluster, or it takes no jobs from here.
    """

    def __init__(self, address: str | None) -> None:
        self.ray = require_ray()
        self.is_own = address is None
        self._nodes: list[dict[str, float]] = []
        self._asked = -_FRESH  # when Ray was asked for its nodes
        own: dict[str, Any] = {
            "include_dashboard": False, "num_cpus": available_cores(),
            "object_store_memory": _STORE,
        }  # fmt: skip
        reach(address)
        usual = signal.getsignal(signal.SIGTERM)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.ray.init(
                    address="local" if address is None else address,
                    log_to_driver=False, logging_level=logging.CRITICAL,
                    **(own if address is None else {}),
                )  # fmt: skip
        except Exception as error:  # Ray raises exceptions of many kinds, plain ones as well
            raise _unreachable(address, error) from error
        finally:
            signal.signal(signal.SIGTERM, usual)  # Ray's handler would end this process its own way

    def leave(self) -> None:
        """End what is left of this process's tasks, and a cluster that it started itself."""
        self.ray.shutdown()

    def nodes(self) -> list[dict[str, float]]:
        """The resources of each living node, free or not; they may be some seconds old."""
        if time.monotonic() > self._asked + _FRESH:
            self._nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            self._asked = time.monotonic()
        return self._nodes

    def lease(self, config: Mapping[str, Any]) -> Lease:
        """What each job leases, by the launcher and trainer sections of ``config``, plain.

        Raises:
            UserError: a Ray on this machine alone could never give it.
        """
        launcher, devices = config["launcher"], config["trainer"]["devices"]
        nodes = self.nodes()
        memory = launcher["memory"]
        lease = Lease(
            launcher["cpus"] * devices,
            leased_gpus(config, lambda: any(node.get("GPU", 0) > 0 for node in nodes)),
            None if memory is None else number_of_bytes(memory),
            launcher["cpus"],
        )
        if self.is_own and not any(map(lease.places, nodes)):
            raise UserError(f"This machine has {_what(nodes)}, and a job asks for {lease}")
        return lease

    def lacks(self, lease: Lease) -> str:
        """Why none of the present nodes could ever do such a job; empty if one could."""
        nodes = self.nodes()
        if any(map(lease.places, nodes)):
            return ""
        return f"no node has {lease}: the largest has {_what(nodes)}"

    def fitted(self, lease: Lease, expected: int | None) -> Lease:
        """``lease`` with the memory that a job is expected to take, unless the lease has some."""
        if lease.memory is not None or expected is None:
            return lease
        others = replace(lease, memory=0)
        most = max((n.get("memory", 0) for n in self.nodes() if others.places(n)), default=0)
        return replace(lease, memory=int(min(expected, most)) or None)


def _what(nodes: list[dict[str, float]]) -> str:
    """The resources of the largest of ``nodes``, in words."""
    largest = max(nodes, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
    memory = largest.get("memory", 0) / 2**30
    return (
        f"{largest.get('CPU', 0):g} CPUs, {largest.get('GPU', 0):g} GPUs and {memory:.3g} GiB of "
        "memory"
    )


def reach(address: str | None) -> None:
    """Check that a host answers at ``address``, if it names one: Ray itself would wait long.

    Raises:
        UserError: nobody answers.
    """
    if address in (None, "auto"):
        return
    assert address is not None
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, error) from error


def token_missing(error: Exception) -> UserError | None:
    """An error with the remedy if ``error`` says that Ray's token is missing; else None."""
    if type(error).__name__ != "AuthenticationError" and "AuthToken" not in str(error):
        return None
    return UserError(
        "This Ray asks for a token: ray get-auth-token shows it on the machine where Ray was "
        "started; put it into ~/.ray/auth_token here, and type RAY_AUTH_MODE=token before the "
        "command if it is set to anything else"
    )


def _unreachable(address: str | None, error: Exception) -> UserError:
    if (asked := token_missing(error)) is not None:
        return asked
    if address == "auto" and isinstance(error, ConnectionError):
        return UserError(
            "No Ray cluster is found from this machine. ray start --head starts one, "
            "launcher.address=HOST:PORT names one that this machine has joined, and "
            "launcher.address=null starts one here for this command alone. One that has a token "
            "(ray get-auth-token) answers nobody without it"
        )
    said, *more = lines_of(error) or ["no reason"]
    if more and said.endswith(":"):  # a traceback of Ray's, whose last line says what happened
        said += f" {more[-1]}"
    if address is None:
        return UserError(f"Ray does not start here: {said}")
    return UserError(
        f"No Ray cluster takes jobs from this machine at launcher.address={address}: {said}"
    )


def lines_of(error: Exception) -> list[str]:
    """The lines of Ray's message for ``error``, without the empty ones."""
    return [line.strip() for line in str(error).splitlines() if line.strip()]
