"""What is handed to ``sbatch``: what a job asks the cluster for, and the script of an array."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eleatt_bench.common.errors import HeldElsewhereError, UserError
from eleatt_bench.launch.endings import AGAIN, NO_FOLDER
from eleatt_bench.launch.process import PLANNED, Job, of_job
from eleatt_bench.launch.settings import (
    leased_gpus,
    outer_variables,
    without_force,
    without_launcher,
)
from eleatt_bench.launch.slurm.commands import has_gpus

_RESERVED = frozenset(
    (
        "array",
        "job-name",
        "output",
        "error",
        "open-mode",
        "dependency",
        "wrap",
        "parsable",
        "wait",
        "test-only",
        "chdir",
    )
)


@dataclass(frozen=True)
class Request:
    """What every job of a sweep asks the cluster for, by the launcher and trainer sections."""

    options: tuple[str, ...]  # of sbatch
    setup: tuple[str, ...]
    gpus: int
    threads: int
    resubmit: int
    parallel: int | None
    poll: float


def request(config: Mapping[str, Any]) -> Request:
    """The request that ``config``, plain, makes: CPUs, and perhaps a GPU, per trainer process.

    Raises:
        UserError: an option of sbatch that users may not set; or SLURM does not say whether there
            are GPUs.
    """
    launcher, trainer = config["launcher"], config["trainer"]
    options: dict[str, Any] = {
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": launcher["cpus"] * trainer["devices"],
        "mem": launcher["mem"],
        "time": launcher["time"],
        **{key: launcher[key] for key in ("partition", "account", "qos")},
        "signal": f"B:USR1@{launcher['notice']}" if launcher["notice"] else None,
        "requeue": True,
        "kill-on-invalid-dep": "yes",
    }
    for key, value in launcher["options"].items():
        name = str(key).removeprefix("--").replace("_", "-")
        if name in _RESERVED:
            raise UserError(f"launcher.options.{key}: --{name} is set by the sweep itself")
        if name == "clusters":
            raise UserError(
                f"launcher.options.{key} would hold for sbatch alone, and squeue would look for "
                f"the jobs elsewhere: type SLURM_CLUSTERS={value} before the command, for both"
            )
        options[name] = value
    # As sbatch does: the variable counts where no option says it.
    partition = options["partition"] or os.environ.get("SBATCH_PARTITION")
    gpus = int(leased_gpus(config, lambda: has_gpus(partition)))
    options.setdefault("gres", f"gpu:{gpus}" if gpus else None)
    words = tuple(
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in options.items()
        if value is not None and value is not False
    )
    return Request(
        words, tuple(launcher["setup"]), gpus, launcher["cpus"], launcher["resubmit"],
        launcher["parallel"], launcher["poll"],
    )  # fmt: skip


def index_list(indices: Sequence[int]) -> str:
    """``0-4,7`` for the indices 0, 1, 2, 3, 4 and 7."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def script(jobs: Mapping[int, Job], wanted: Request) -> str:
    """The script of an array whose tasks are ``jobs``, by index."""
    cases = "\n".join(_case(index, job) for index, job in jobs.items())
    exports = {
        **outer_variables(),
        **of_job(wanted.threads, None if wanted.gpus else ""),
    }
    exported = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in exports.items())
    values = {
        "CASES": cases,
        "FOLDER": shlex.quote(str(Path.cwd())),
        "EXPORTS": exported,
        "PYTHON": shlex.quote(sys.executable),
        "SETUP": "\n".join(wanted.setup),
        "RESUBMIT": str(wanted.resubmit),
        "HELD": str(HeldElsewhereError.exit_status),
        "AGAIN": AGAIN,
        "NO_FOLDER": str(NO_FOLDER),
        "PLANNED": PLANNED,
    }
    return re.sub("@([A-Z_]+)@", lambda mark: values[mark[1]], _SCRIPT)


def _case(index: int, job: Job) -> str:
    words = without_launcher(job.arguments)
    again = without_force(words)
    parts = [
        f"log={shlex.quote(str(job.log_path.absolute()))}",
        f"planned={shlex.quote(job.run_id or '')}",
        f"grows={shlex.quote(str(job.grows.absolute()) if job.grows else '')}",
        f"words=({shlex.join(words)})",
        *([f"again=({shlex.join(again)})"] if again != words else []),
    ]
    return f"{index})\n  " + "\n  ".join(parts) + " ;;"


_SCRIPT = """\
#!/bin/bash
# A task of this array is a job of a sweep of eleatt-bench, which wrote this.
case $SLURM_ARRAY_TASK_ID in
@CASES@
*) exit 64 ;;
esac
exec >>"$log" 2>&1
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
ended=${log%.log}.exit tries=${log%.log}.tries child= outran= stopped=
rm -f -- "$ended"

finish() {  # EXIT STATUS
    printf '%s\\n' "$1" >"$ended.tmp" && mv -f -- "$ended.tmp" "$ended"
    case $1 in 0) rm -f -- "$tries"; exit 0 ;; *[!0-9]*) exit 1 ;; *) exit "$1" ;; esac
}
back() {  # into the queue; SLURM ends this script when it has done that
    trap 'exit 143' TERM
    scontrol requeue "$task" || finish "$1"
    sleep 60 &
    wait $!
    exit 1
}

count=0 begun=
[ ! -f "$tries" ] || read -r count begun <"$tries"
if [ -n "$grows" ] && [ "$grows" -nt "$tries" ] && [ -f "$tries" ]; then
    count=0 begun=begun
elif [ -f "$tries" ]; then
    count=$((count + 1))
fi
if [ "$count" -gt @RESUBMIT@ ]; then
    echo "Begun @RESUBMIT@ more times without coming to the end of an epoch: raise launcher.time"
    finish 1
fi
printf '%s %s\\n' "$count" "$begun" >"$tries"
[ -z "$begun" ] || [ -z "${again+set}" ] || words=("${again[@]}")

# SLURM signals this shell before the time limit, and all processes to cancel or preempt the job.
trap 'outran=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' USR1
trap 'stopped=1' TERM

@EXPORTS@
[ -z "$planned" ] || export @PLANNED@=$planned
cd -- @FOLDER@ || finish @NO_FOLDER@
python=@PYTHON@
@SETUP@
set +eu +o pipefail
"${python[@]}" -m eleatt_bench "${words[@]}" </dev/null &
child=$!
[ -z "$outran" ] || kill -TERM "$child"
wait "$child"
status=$?
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
done
if [ -n "$outran$stopped" ]; then  # the signal may have ended the waiting and not the child
    wait "$child"
    code=$?
    case $code in -* | 127) ;; *) status=$code ;; esac  # bash may have lost it
fi
[ "$status" != 0 ] || finish 0
[ "$status" != 143 ] || [ -n "$outran$stopped" ] || sleep 1  # this shell's own signal may be late
if [ -n "$outran" ]; then
    echo "The time limit is near: back into the queue"
    back @AGAIN@
fi
[ -z "$stopped" ] || exit "$status"
if [ "$status" = @HELD@ ]; then
    printf '%s %s\\n' "$((count - 1))" "$begun" >"$tries"
    back @HELD@
fi
finish "$status"
"""
