"""Preflight: what a run would do and cost, said before it does anything; and a refusal where it will not fit."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from seedbed.core import remote
from seedbed.core.errors import SeedbedError
from seedbed.core.units import duration, human
from seedbed.curate.contract import Filter
from seedbed.curate.plan import CuratePlan
from seedbed.curate.sources import find_sources
from seedbed.pipeline import estimate, upkeep, workplace
from seedbed.pipeline.estimate import BYTES_PER_TOKEN, Needs
from seedbed.pipeline.probe import Probe, probe
from seedbed.recipe import Recipe

DECIDE_BYTES_PER_DOCUMENT = 200
"""Memory that deciding and grouping take for each document read, measured on a million documents under 30 rules."""
WORKER_BYTES = 400 << 20
"""A worker process with compiled kernels, a language model and a batch of documents."""
MIN_SHARE = 0.05
"""From which part of the documents on a language, or an empty column, is worth a warning."""


@dataclasses.dataclass(frozen=True)
class Preview:
    """What a run would do and cost. Seconds, bytes and documents are estimates from the probe.

    Args:
        probe: what was measured.
        needs: documents, text, tokens and training.
        cpu_seconds: curation of the whole input in one process, without grouping duplicates.
        seconds: with the workers asked for.
        disk_bytes, free_disk_bytes: what the output folder takes and has.
        memory_bytes, free_memory_bytes: of all processes, and what is there.
        warnings: what is probably not meant.
        refusals: why it would not start.
    """

    probe: Probe
    needs: Needs
    cpu_seconds: float
    seconds: float
    disk_bytes: float
    free_disk_bytes: int
    memory_bytes: float
    free_memory_bytes: int
    warnings: tuple[str, ...]
    refusals: tuple[str, ...]

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) for people."""
        return [
            *(line for line in self.needs.lines() if not line[0].startswith("disk")),
            ("curation, CPU (estimated)", duration(self.cpu_seconds)),
            ("curation, time (estimated)", duration(self.seconds)),
            ("disk (estimated)", f"{human(self.disk_bytes, 'B')} of {human(self.free_disk_bytes, 'B')}"),
            ("memory (estimated)", f"{human(self.memory_bytes, 'B')} of {human(self.free_memory_bytes, 'B')}"),
        ]


def preview(recipe: Recipe, inputs: Sequence[str], out: str | Path, workers: int = 1) -> Preview:
    """Probe the input and add up. Nothing is written."""
    plan = recipe.curate
    sources = find_sources(workplace.resolve(inputs), plan.readers)[0]
    seen = probe(plan, sources)
    documents = seen.documents * seen.scale
    reading = seen.steps[0].cpu_seconds * seen.scale
    cpu = reading + sum(step.cpu_seconds for step in seen.steps[1:]) * seen.scale
    text_bytes = seen.text_bytes * seen.scale
    stored = sum(step.disk_bytes for step in seen.steps) + seen.steps[0].disk_bytes * seen.passing
    disk = stored * seen.scale + text_bytes / BYTES_PER_TOKEN * 2 * (recipe.tokenizer is not None)
    memory = documents * DECIDE_BYTES_PER_DOCUMENT + _processes(workers) * _here_bytes()
    needs = estimate.needs(recipe, seen.input_bytes, documents, text_bytes)
    free = free_disk(out), free_memory()
    return Preview(
        probe=seen,
        needs=needs,
        cpu_seconds=cpu,
        seconds=cpu / min(workers, os.cpu_count() or 1),
        disk_bytes=disk,
        free_disk_bytes=free[0],
        memory_bytes=memory,
        free_memory_bytes=free[1],
        warnings=(*plan.warnings(), *warnings_of(plan, seen)),
        refusals=tuple(refusals(out, disk, memory, free)),
    )


def check(recipe: Recipe, inputs: Sequence[str], out: str | Path, workers: int = 1) -> None:
    """Raise SeedbedError, with the numbers, where disk or memory will not do. Looks at little of the input."""
    needs = estimate.estimate(recipe, inputs)
    memory = needs.documents * DECIDE_BYTES_PER_DOCUMENT + _processes(workers) * WORKER_BYTES
    for problem in refusals(out, needs.disk_bytes, memory, (free_disk(out), free_memory())):
        mend = "Make room, take less input or fewer --workers; --no-check starts all the same."
        raise SeedbedError(remote.url_of(out), problem, mend)


def refusals(out: str | Path, disk: float, memory: float, free: tuple[int, int]) -> Iterator[str]:
    """What will not fit, as sentences. What lies in the folder already needs no new room."""
    folder = workplace.local(out)
    there = upkeep.size_of(folder / "artifacts") if (folder / "artifacts").is_dir() else 0
    if disk - there > free[0]:
        yield f"needs about {human(disk - there, 'B')} of disk and {human(free[0], 'B')} are free"
    if memory > free[1]:
        yield f"needs about {human(memory, 'B')} of memory and {human(free[1], 'B')} are free"


def warnings_of(plan: CuratePlan, seen: Probe) -> Iterator[str]:
    """What the probe shows to be probably not meant."""
    for step in (*plan.filters, *plan.dedupers):
        yield from _empty_columns(step.path(), step.columns, seen)
    for survivor in plan.survivors:
        yield from _empty_columns(survivor.path(), survivor.reads(), seen)
    languages = _languages(plan, seen)
    for step in plan.filters:
        yield from _foreign(plan, step, languages)
    for step in seen.steps:
        if step.failed:
            yield f"{step.step} fails on the probed documents: {step.failed}"


def _empty_columns(path: str, columns: Sequence[str], seen: Probe) -> Iterator[str]:
    for column in columns:
        share = seen.missing.get(column, 0.0)
        if share >= MIN_SHARE:
            yield f"{path} looks at {column}, which {share:.0%} of {seen.documents} probed documents do not have"


def _languages(plan: CuratePlan, seen: Probe) -> Mapping[str, str]:
    """Language -> why it is to be expected."""
    kept = _kept_languages(plan)
    if kept is not None:
        return dict.fromkeys(kept, "which the plan keeps")
    return {name: f"as are {share:.0%} of the probed documents" for name, share in seen.languages.items()
            if share >= MIN_SHARE}  # fmt: skip


def _kept_languages(plan: CuratePlan) -> tuple[str, ...] | None:
    for step in plan.filters:
        for rule in step.rules:
            if rule.signal == "language" and rule.side == "in":
                return cast("tuple[str, ...] | None", getattr(step, rule.name))
    return None


def _foreign(plan: CuratePlan, step: Filter, languages: Mapping[str, str]) -> Iterator[str]:
    """Rules that meet a language they were not made for, unless the plan has a threshold of its own for it."""
    for rule in step.rules:
        if not rule.languages or getattr(step, rule.name) is None:
            continue
        own = {name for name, steps in plan.by_language.items() if rule.name in steps.get(step.name(), {})}
        strange = [name for name in languages if name not in rule.languages and name not in own]
        if strange:
            some = ", ".join(f"{name} ({languages[name]})" for name in strange[:3])
            more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
            yield f"{step.path()}.{rule.name} was made for {', '.join(rule.languages)} and will judge {some}{more}"


def free_disk(out: str | Path) -> int:
    """Bytes free where the output folder is or would be."""
    folder = workplace.local(out).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_memory() -> int:
    """Bytes of memory that a new process could have: of the machine, or of the control group if that is less."""
    told = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
    available = int(told["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in told else 1 << 62
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    return min(available, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else available


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""


def _processes(workers: int) -> int:
    return workers + 1 if workers > 1 else 1


def _here_bytes() -> float:
    """The largest this process was: the probe has loaded what a worker loads."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
