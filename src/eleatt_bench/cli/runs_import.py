"""``eleatt-bench runs import``: runs of another machine, checked before any is taken over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from eleatt_bench.cli.arguments import Parser
from eleatt_bench.common.errors import UserError
from eleatt_bench.common.locations import command, runs_dir
from eleatt_bench.data.sources.archive import Member, Source
from eleatt_bench.runs.form import says_finished
from eleatt_bench.runs.record import RunFolder
from eleatt_bench.runs.soundness import sound
from eleatt_bench.runs.taking import Outcome, put, staging, take

_PATH = re.compile(
    r"(?:(?:.*/)?(?P<run>[^/]+)/)?"
    r"(?P<file>record\.json|config\.yaml|epochs\.csv|predictions\.h5|checkpoints/(best|last)\.ckpt)"
)
_LARGEST = 1 << 28  # bytes of a file; no checkpoint of these networks comes near
_PACKED = 100  # times its size that an archive may unpack to; runs unpack to 2 to 10 times


def import_runs(arguments: Sequence[str]) -> None:
    """Take over the runs that ``arguments`` name."""
    parser = Parser(
        "eleatt-bench runs import",
        description="Take over finished runs of another machine, from what `runs export` wrote "
        "there, or from a folder of runs. All are checked first: their names against what they "
        "are, their accuracies against their predictions. A finished run that is here stays.",
    )
    parser.add_argument("source", type=Path, metavar="ZIP|FOLDER")
    source = parser.parse(arguments).source
    with staging(runs_dir()) as stage:
        folders = list(_staged(source, stage))
        finished = [folder for folder in folders if _is_sound(folder, source)]
        if not finished:
            raise UserError(f"None of the {len(folders):,} runs in {source} is finished")
        outcomes = take(finished, runs_dir())
    _tell(outcomes, len(folders) - len(finished))


def _staged(source: Path, stage: Path) -> Iterator[RunFolder]:
    """Each run of ``source``, copied into ``stage`` and synced.

    Raises:
        UserError: as `Source.find` and its members; a file is there twice, or is not a run's; the
            archive unpacks to too much.
    """
    again = command("runs", "import", str(source))
    given = Source(source, "the export", again, _LARGEST, packed=True)
    by_run: dict[str, dict[str, Member]] = {}
    for member in given.find(_PATH, "digits-gru-seed0-1a2b3c4d5e6f/record.json"):
        match = _PATH.fullmatch(str(member.path))
        if match is None:  # its name has other capitals
            continue
        run = match["run"] or source.resolve().name
        if by_run.setdefault(run, {}).setdefault(match["file"], member) is not member:
            raise given.wrong(source, f"has {run}/{match['file']} twice")
    left = _PACKED * source.stat().st_size if source.is_file() else None
    for run_id, files in by_run.items():
        folder = RunFolder(stage, run_id)
        try:
            size = put({name: member.load() for name, member in files.items()}, folder)
        except ValueError as error:
            raise given.wrong(source, f"holds something else than runs: {error}") from error
        if left is not None and (left := left - size) < 0:
            raise given.wrong(source, f"unpacks to more than {_PACKED} times its size")
        yield folder


def _is_sound(folder: RunFolder, source: Path) -> bool:
    """Whether the run in ``folder`` is finished, by its own record; if so, it is sound.

    Raises:
        UserError: the run is damaged, or is not the run that its name says.
    """
    record = folder.read()
    if record is not None and not says_finished(record):
        return False
    try:
        sound(folder)
        for checkpoint in sorted(folder.checkpoints.glob("*.ckpt")):
            from eleatt_bench.training.checkpoints import load_checkpoint

            load_checkpoint(checkpoint)
    except (ValueError, UserError) as error:
        said = str(error).replace(f"{folder.path}/", "").partition(". Train")[0]
        raise UserError(
            f"{source}: {folder.run_id} is damaged: {said}. Nothing was taken over. Export it "
            "again where it was trained: eleatt-bench runs export"
        ) from error
    return True


def _tell(outcomes: dict[str, Outcome], unfinished: int) -> None:
    """Print what became of each run.

    Raises:
        UserError: some runs were not taken over, because others of the same name are here.
    """
    kept = {name: how for name, how in outcomes.items() if how not in (Outcome.TAKEN, Outcome.SAME)}
    for name, how in outcomes.items():
        if how is Outcome.TAKEN or name in kept:
            print(f"{name}  {how}")
    counts = {how: sum(one is how for one in outcomes.values()) for how in Outcome}
    said = f"{counts[Outcome.TAKEN]:,} taken over, {counts[Outcome.SAME]:,} here already"
    if unfinished:
        said += f", {unfinished:,} not finished and left out"
    print(f"{said}. They lie in {runs_dir()}.")
    if kept:
        names = ", ".join([*kept][:_NAMED]) + (" …" if len(kept) > _NAMED else "")
        raise UserError(
            f"{len(kept):,} of {len(outcomes):,} were not taken over ({names}): what is here "
            "stays. To have those of the archive: eleatt-bench runs rm ID, then import again"
        )


_NAMED = 3  # run ids that an error names
