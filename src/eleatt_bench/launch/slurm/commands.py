"""SLURM's commands, called so that no variable of the user's changes what they answer."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eleatt_bench.common.errors import UserError
from eleatt_bench.launch.ranks import without_ranks

_SECONDS = 120  # that a command may take; a busy controller answers within that or not at all
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
_OURS = ("SBATCH_WAIT", "SBATCH_ARRAY_INX", "SBATCH_DEPENDENCY", "SBATCH_HINT",
         "SBATCH_CLUSTERS")  # fmt: skip
"""Variables that would change a submission, or send it to a cluster where nobody looks."""

RUNNING = frozenset(
    ("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "SUSPENDED", "STOPPED", "RESIZING")
)
"""States of a job that has a node."""

ACTIVE = RUNNING | {
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
    "RESV_DEL_HOLD",
}  # fmt: skip
"""States of a job that is in the queue, or runs; after each of them it may run again."""

_PASSING = re.compile("timed? ?out|contact|connect|temporarily|try again|does not answer", re.I)


class SlurmError(UserError):
    """A command of SLURM's failed; the message has the reason that it gave."""

    @property
    def passes(self) -> bool:
        """Whether the error may pass: the controller does not answer now."""
        return _PASSING.search(str(self)) is not None


@dataclass(frozen=True)
class QueueEntry:
    """A task of an array as SLURM knows it, in the queue or for some minutes after its end."""

    array: str  # the id of the job array
    index: int
    name: str
    state: str
    reason: str
    nodes: str = ""  # where it runs, or ran last; empty if it never did
    seconds: float = 0.0  # how long it has run


def task_id(array: str, index: int) -> str:
    """What SLURM's commands call a task of an array."""
    return f"{array}_{index}"


def queue(names: Iterable[str]) -> list[QueueEntry]:
    """All tasks of the arrays with these names, of all users, also in hidden partitions.

    Raises:
        SlurmError: SLURM does not answer.
    """
    words = ("--all", "--noheader", "--array", "--states=all", "--format=%F|%K|%j|%T|%r|%N|%M")
    said = ask("squeue", *words, f"--name={','.join(names)}")
    found = []
    for line in said.splitlines():
        array, index, name, state, reason, nodes, ran = line.split("|", 6)
        if index.isdecimal():  # other entries are no tasks of arrays
            seconds = _seconds(ran)
            found.append(QueueEntry(array, int(index), name, state, reason, nodes, seconds))
    return found


def _seconds(ran: str) -> float:
    """A time as SLURM writes it, such as 1-02:03:04 or 5:06, in seconds; 0 for a word."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", ran.strip())
    if match is None:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds


def newest(entries: Iterable[QueueEntry]) -> dict[tuple[str, int], QueueEntry]:
    """For each name and index the entry that counts: an active one, else the last one."""
    ordered = sorted(entries, key=lambda one: (one.state in ACTIVE, int(one.array)))
    return {(one.name, one.index): one for one in ordered}


def submit(*words: str, keep_open: int) -> str:
    """Hand ``words`` to sbatch, as `ask` does; the id of the array.

    Raises:
        SlurmError: sbatch does not take them; the message says what may help.
    """
    try:
        return ask("sbatch", "--parsable", *words, keep_open=keep_open).strip().partition(";")[0]
    except SlurmError as error:
        for pattern, remedy in _REMEDIES:
            if re.search(pattern, str(error), re.I):
                names = _partitions() if "{partitions}" in remedy else ""
                raise SlurmError(f"{error}. {remedy.format(partitions=names)}") from error
        raise


_REMEDIES = (
    ("partition", "launcher.partition=NAME chooses one of: {partitions}"),
    ("node configuration|generic resource|memory|cpu count|node count",
     "No node has so much (launcher.gpus, cpus, mem); what there is: sinfo --format='%P %c %m %G'"),
    ("submit ?(job)? ?limit|MaxSubmit|QOSMax|too many|array",
     "So many jobs may not be queued at once: ask for fewer, or choose another launcher.qos"),
    ("account", "launcher.account=NAME chooses it: sacctmgr show associations user=$USER"),
    ("qos", "launcher.qos=NAME chooses it"),
    ("feature|constraint",
     "What nodes have, for launcher.options.constraint: sinfo --format='%N %f'"),
    ("time ?limit", "launcher.time=TIME says how long a job may run"),
)  # fmt: skip


def _partitions() -> str:
    try:
        said = ask("sinfo", "--all", "--noheader", "--format=%R")
    except SlurmError:
        return "sinfo"
    return ", ".join(dict.fromkeys(said.split())) or "sinfo"


def cancel(tasks: Sequence[str]) -> None:
    """Take ``tasks`` from the queue, or end them; tasks that have ended are left alone.

    Raises:
        SlurmError: SLURM does not answer, or the tasks belong to another user.
    """
    for first in range(0, len(tasks), 500):  # a command line is not endless
        ask("scancel", "--quiet", *tasks[first : first + 500])


def largest_array() -> int:
    """How many tasks an array of this cluster may have: its indices are below that."""
    for line in ask("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdecimal():
            return max(1, int(value))
    return 1001  # SLURM's default


def time_limit(task: str) -> str:
    """How long ``task`` may run, as SLURM writes it; empty where that is not known any more."""
    try:
        return ask("squeue", "--noheader", f"--jobs={task}", "--format=%l").strip()
    except SlurmError:
        return ""


def has_gpus(partition: str | None) -> bool:
    """Whether a node of the partition, by default the cluster's default, has GPUs."""
    which = f"--partition={partition}" if partition else "--all"  # sinfo takes only one of the two
    said = ask("sinfo", which, "--noheader", "--format=%P|%G")
    lines = [line.split("|", 1) for line in said.splitlines() if "|" in line]
    if partition is None and any(name.endswith("*") for name, _ in lines):
        lines = [line for line in lines if line[0].endswith("*")]
    return any("gpu" in resources for _, resources in lines)


def ask(*words: str, keep_open: int | None = None) -> str:
    """What the command line ``words`` prints.

    The command holds the descriptor ``keep_open``, and so its lock, as long as it lives. Neither
    Ctrl-C nor the end of this process reaches it.

    Raises:
        SlurmError: the command is not here, fails, or takes too long.
    """
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", env=_environment(os.environ), start_new_session=True,
            pass_fds=() if keep_open is None else (keep_open,),
        )  # fmt: skip
        said, errors = process.communicate(timeout=_SECONDS)
    except FileNotFoundError:
        raise SlurmError(
            f"launcher=slurm needs SLURM's commands, and {words[0]} is not on this machine. Type "
            "this on a login node of the cluster, or leave out launcher=slurm"
        ) from None
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise SlurmError(f"{words[0]} does not answer within {_SECONDS} s") from error
    except OSError as error:
        raise SlurmError(f"{words[0]} cannot be started: {error.strerror}") from error
    if process.returncode != 0:
        lines = [line for line in errors.splitlines() if line.strip()] or ["no reason given"]
        told = "; ".join(line.removeprefix(f"{words[0]}: error: ").strip() for line in lines[-3:])
        raise SlurmError(f"{words[0]}: {told}")
    # With SLURM_CLUSTERS, older versions print a line with the cluster's name in any case.
    return re.sub(r"^(CLUSTER: .*)?\n", "", said, flags=re.M)


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """The user's variables, without those that format answers or tell of a surrounding job."""
    return {
        key: value
        for key, value in without_ranks(own).items()
        if not key.startswith(("SQUEUE_", "SCONTROL_", "SINFO_", "SCANCEL_"))
        and (key in _KEPT or not key.startswith("SLURM_"))
        and key not in _OURS
    }
