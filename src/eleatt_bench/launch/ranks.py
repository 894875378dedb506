"""Which process of a distributed run this one is, whatever others left in the environment.

Lightning and torch decide by variables that SLURM, torchrun, MPI and others set for *their* tasks.
Under `srun` a run would requeue itself and begin with another run's weights; with ``RANK=1`` it
would take itself for the second of several and record nothing. A run starts its further processes
itself, so none of these variables is ever meant for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache

_OURS = "ELEATT_RANK_OF"  # the id of the process that started this one as a rank of its run
_FOREIGN = re.compile(
    r"""(LOCAL_|NODE_|GROUP_|ROLE_|CROSS_)?RANK | (LOCAL_|GROUP_|ROLE_)?WORLD_SIZE | ROLE_NAME
    | MASTER_(ADDR|PORT) | (TORCHELASTIC|PET)_\w+  # torchrun, Kubernetes
    | SLURM_(PROCID|LOCALID|NODEID|GTIDS|NPROCS|NNODES|STEPID)
    | SLURM_(NTASKS|TASKS?_|STEP_|SRUN_|LAUNCH_|JOB_NUM_NODES)\w*
    | (OMPI|PMI|PMIX|MPI|MV2|PALS|ALPS|JSM|FLUX_TASK)_\w+
    | (TPU|CLOUD_TPU|XRT)_\w+
    | (PL|LT)_\w+  # Lightning's own: defaults of its trainer, its seed""",
    re.VERBOSE,
)


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without the variables that tell a process which of several it is."""
    return {k: v for k, v in environment.items() if k != _OURS and not _FOREIGN.fullmatch(k)}


def forget_other_launchers() -> None:
    """Drop other launchers' variables, unless a run of ours started this process as a rank."""
    if is_first():
        for name in os.environ.keys() - without_ranks(os.environ).keys():
            del os.environ[name]


def mark_ranks() -> None:
    """Let the processes that this one starts from now on know that they are ranks of its run."""
    os.environ[_OURS] = str(os.getpid())


@cache  # asked once: the parent process may end before this one
def is_first() -> bool:
    """Whether this is the only process of its run, or the first: the one that writes."""
    ours = os.environ.get(_OURS) == str(os.getppid())
    return not ours or os.environ.get("LOCAL_RANK", "0") == "0"
