"""Whether the kernels are right on a GPU, and how fast: one command that needs minutes.

    PYTHONPATH=src python scripts/gpu_check.py --out gpu_check.jsonl         (or: make bench-gpu)
    PYTHONPATH=src python scripts/gpu_check.py --rehearse          (small, without a GPU, minutes)

It needs torch, triton, numpy and this package. The most important items come first. Each item has a
time limit, and gets a line in the file as soon as its result is known. An item that fails, hangs or
crashes costs only its own time and, if need be, its process; the others go on. Items that their
stage has no time for are done at the end, until the deadline. `gpu_check_stages.py` defines the
items; this file schedules them and records their results.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

STAGES = {0: (20, 1), 1: (60, 15), 2: (70, 1), 3: (120, 1), 4: (40, 1), 5: (70, 1)}
"""The approximate seconds of each stage, and how many processes work on its items."""

STARTING = 90  # seconds, for the imports of a process
DONE = ("passed", "left out")

Row = dict[str, Any]
Report = Callable[[int, str, Row], None]


class Worker:
    """A process that does items of one stage, one after the other, on request."""

    def __init__(self, stage: int, given: argparse.Namespace) -> None:
        command = [sys.executable, sys.argv[0], "--worker", str(stage)]
        environment = dict(os.environ)
        if given.rehearse:
            command.append("--rehearse")
            environment |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
        with Path(f"{given.out}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                start_new_session=True, env=environment,
            )  # fmt: skip
        self.said = b""

    def answer(self, seconds: float) -> Row:
        """The next row from the process; without one, a row that says that it hangs or crashed."""
        assert self.process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self.said:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return {"state": "hung", "ends": True}
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                return {"state": "crashed", "exit": self.process.wait(), "ends": True}
            self.said += part
        line, _, self.said = self.said.partition(b"\n")
        answer: Row = json.loads(line)
        return answer

    def ask(self, item: str, seconds: float) -> Row:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{item}\n".encode())
        except BrokenPipeError:
            return self.answer(1)
        return self.answer(seconds)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # and whatever it has started
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Stage:
    """The items of a stage that are still to be done."""

    def __init__(self, number: int, given: argparse.Namespace, report: Report) -> None:
        self.number, self.given, self.report = number, given, report
        self.items: deque[tuple[str, float]] = deque()
        self.spare: list[Worker] = []  # at most one: the worker that listed the items

    def list_items(self, deadline: float) -> None:
        worker = Worker(self.number, self.given)
        listed = worker.answer(min(STARTING, deadline - time.monotonic()))
        if "items" in listed:
            self.items.extend((name, seconds) for name, seconds in listed["items"])
            self.spare.append(worker)
            return
        worker.end()
        self.report(self.number, "(all)", {"state": "absent", "error": "it did not start"} | listed)

    def work(self, until: float, deadline: float) -> None:
        """Begin items until ``until``; wait for none beyond ``deadline``."""
        processes = 2 if self.given.rehearse and self.number == 1 else STAGES[self.number][1]
        with ThreadPoolExecutor(processes) as pool:
            done = [pool.submit(self._take_turns, until, deadline) for _ in range(processes)]
        for one in done:
            one.result()

    def _take_turns(self, until: float, deadline: float) -> None:
        worker: Worker | None = None
        try:
            while time.monotonic() < until:
                try:
                    name, seconds = self.items.popleft()
                except IndexError:
                    return
                if worker is None:
                    worker = self._ready(deadline)
                began = time.monotonic()
                row = {"state": "crashed", "error": "its process does not start", "ends": True}
                if worker is not None:
                    row = worker.ask(name, max(0.0, min(seconds, deadline - began)))
                if row["state"] == "hung" and deadline - began < seconds:
                    row["state"] = "not reached"  # the deadline's fault and not its own
                row["seconds"] = round(time.monotonic() - began, 2)
                if row.pop("ends", False) and worker is not None:
                    worker.end()
                    worker = None
                self.report(self.number, name, row)
        finally:
            if worker is not None:
                worker.end()

    def _ready(self, deadline: float) -> Worker | None:
        try:
            return self.spare.pop()
        except IndexError:
            worker = Worker(self.number, self.given)
        if "items" in worker.answer(max(0.0, min(STARTING, deadline - time.monotonic()))):
            return worker
        worker.end()
        return None

    def close(self) -> None:
        while self.spare:
            self.spare.pop().end()
        for name, _ in self.items:
            self.report(self.number, name, {"state": "not reached"})


def check(given: argparse.Namespace, out: Any) -> list[Row]:
    """Do all items, and write a line for each to ``out`` and to the screen."""
    start, rows, lock = time.monotonic(), [], threading.Lock()
    deadline = start + given.deadline

    def report(stage: int, item: str, result: Row) -> None:
        row = {"stage": stage, "item": item, **result, "at": round(time.monotonic() - start, 1)}
        with lock:
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(said(row), flush=True)

    stages = []
    for number in given.stages:
        if time.monotonic() >= deadline:
            report(number, "(all)", {"state": "not reached"})
            continue
        stage = Stage(number, given, report)
        stages.append(stage)
        stage.list_items(deadline)
        own = given.deadline if given.rehearse else STAGES[number][0]
        stage.work(min(time.monotonic() + own, deadline), deadline)
    for stage in stages:
        stage.work(deadline, deadline)
        stage.close()
    return rows


def said(row: Row) -> str:
    """A row as a line for people."""
    facts = {k: v for k, v in row.items() if k not in ("stage", "item", "state", "at")}
    told = "  ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items()
    )
    return f"{row['at']:6.1f} s  {row['stage']}  {row['state']:<12}{row['item']}  {told}"


def summary(rows: list[Row]) -> str:
    """The results of each stage, the items that did not pass, and the ratios with their goals."""
    lines = ["", "stage: items"]
    for stage in sorted({row["stage"] for row in rows}):
        here = [row for row in rows if row["stage"] == stage]
        counts = Counter(row["state"] for row in here)
        lines.append(f"{stage}: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
        lines += [f"   {r['state']}: {r['item']}" for r in here if r["state"] not in DONE]
    ratios = [row for row in rows if "goal" in row]
    if ratios:
        lines.append("train step over cuDNN's, and its goal:")
    for row in ratios:
        word = "reached" if row["ratio"] <= row["goal"] else "missed"
        lines.append(f"   {row['item']}: {row['ratio']:.2f} (goal {row['goal']}, {word})")
    return "\n".join(lines)


def serve(stage: int, rehearse: bool) -> None:
    """The process of a `Worker`: it lists the items, then does those that it is asked for."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what other code prints must not be taken for an answer
    try:
        import gpu_check_stages

        items = {item.name: item for item in gpu_check_stages.items(stage, rehearse)}
    except Exception as error:
        traceback.print_exc()
        answers.write(json.dumps({"state": "absent", "error": first_line(error)}) + "\n")
        return
    answers.write(json.dumps({"items": [(i.name, i.seconds) for i in items.values()]}) + "\n")
    for line in sys.stdin:
        row: Row = {"state": "passed"}
        try:
            row |= items[line.rstrip("\n")].work()
        except gpu_check_stages.LeftOutError as reason:
            row = {"state": "left out", "error": str(reason)}
        except Exception as error:
            traceback.print_exc()
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(at.filename).name}:{at.lineno}"
            row = {"state": "failed", "error": first_line(error), "where": where}
            row["ends"] = not gpu_check_stages.device_works()
        answers.write(json.dumps(row) + "\n")
        if row.get("ends"):
            return


def first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_check.jsonl"))
    parser.add_argument("--deadline", type=float, default=480, help="seconds for everything")
    parser.add_argument("--stages", type=int, nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument(
        "--rehearse", action="store_true", help="small sizes in Triton's interpreter, on the CPU"
    )
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        serve(given.worker, given.rehearse)
        return
    with given.out.open("w", encoding="utf-8") as out:
        rows = check(given, out)
    print(summary(rows))
    sys.exit(any(row["state"] not in DONE for row in rows))


if __name__ == "__main__":
    main()
