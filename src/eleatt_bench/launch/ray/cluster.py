"""Ray itself: found, connected to without a word of its own, and what its nodes have."""

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
"""What keeps Ray from telling others, and the terminal, what it does."""

_STORE = 80 << 20  # bytes: no job hands over anything, and this is about the least Ray takes
_SECONDS = 10.0  # that a cluster may take to answer at all
_FRESH = 5.0  # seconds for which what the nodes have is not asked again
_SIZES = {"": 20, "K": 10, "M": 20, "G": 30, "T": 40}  # as SLURM writes them


@dataclass(frozen=True)
class Lease:
    """What every job of a sweep leases of a node; ``memory`` in bytes, None: what it will take."""

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
    """``16G`` as SLURM reads it.

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)", size, re.I)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{size} is no size")
    return int(match[1]) << _SIZES[match[2].upper()]


def require_ray() -> Any:
    """Import Ray.

    Raises:
        UserError: it is not installed; with the command that installs it.
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
    worker.print_to_stdstream = lambda *data, **how: None  # of lost nodes; there is no setting
    return ray


def _has_token() -> bool:
    """Whether there is a token where Ray looks for one.

    Ray's commands ask for it wherever there is one, and so does ``ray.init`` on a cluster that it
    finds by itself; clients and the submission of jobs would not.
    """
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()


class Cluster:
    """The Ray cluster that ``launcher.address`` names, connected to; ``leave`` it at the end.

    Raises:
        UserError: Ray is not installed, there is no such cluster, or it takes no jobs from here.
    """

    def __init__(self, address: str | None) -> None:
        self.ray = require_ray()
        self.is_own = address is None
        self._nodes: list[dict[str, float]] = []
        self._asked = -_FRESH  # when
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
        except Exception as error:  # Ray raises what it likes, bare ones as well
            raise _unreachable(address, error) from error
        finally:
            signal.signal(signal.SIGTERM, usual)  # Ray would end this process in a way of its own

    def leave(self) -> None:
        """End what is left of this process's tasks, and a cluster that it started itself."""
        self.ray.shutdown()

    def nodes(self) -> list[dict[str, float]]:
        """What each living node has for jobs, free or not; as of some seconds ago."""
        if time.monotonic() > self._asked + _FRESH:
            self._nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            self._asked = time.monotonic()
        return self._nodes

    def lease(self, config: Mapping[str, Any]) -> Lease:
        """What each job has, by the launcher and trainer sections of ``config``, plain.

        Raises:
            UserError: a cluster of its own could never give it.
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
        """Why no node could ever do such a job as things are; nothing if one could."""
        nodes = self.nodes()
        if any(map(lease.places, nodes)):
            return ""
        return f"no node has {lease}: the largest has {_what(nodes)}"

    def fitted(self, lease: Lease, expected: int | None) -> Lease:
        """``lease`` for a job that is expected to take so many bytes, if nobody says how many."""
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
    """See whether anybody answers at ``address``, where it names a host: Ray would wait long.

    Raises:
        UserError: nobody does.
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
    """What mends ``error`` if Ray asked for its token and did not get it."""
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
    if more and said.endswith(":"):  # a traceback of Ray's, which ends in what happened
        said += f" {more[-1]}"
    if address is None:
        return UserError(f"Ray does not start here: {said}")
    return UserError(
        f"No Ray cluster takes jobs from this machine at launcher.address={address}: {said}"
    )


def lines_of(error: Exception) -> list[str]:
    """What Ray says of ``error``, which may begin and end in empty lines."""
    return [line.strip() for line in str(error).splitlines() if line.strip()]
