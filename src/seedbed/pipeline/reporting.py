"""The report of an output folder: numbers and texts collected from its artifacts, and `report.html` written from them.

What the newest run left is reported; a comparison, a leak check or a law that was made from documents other than those
kept now is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed import recipe as recipes
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Store, write_text
from seedbed.core.parameters import Json
from seedbed.pipeline import (
    reporting_comparison,
    reporting_continual,
    reporting_curation,
    reporting_law,
    reporting_quality,
    reporting_training,
    workplace,
)
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from seedbed.report.data import (
    ArmResult,
    Comparison,
    LeakCheck,
    LeakItem,
    LossCurve,
    Provenance,
    ReportData,
    StepTime,
)
from seedbed.stats.intervals import Interval

LAW_REACH = 4.0
N_WORST = 8


def report_into(place: Workplace, recipe: Recipe) -> Path:
    """Write `report.html` at the top of the output folder; inputs given outside the recipe are those it remembers."""
    from seedbed.report.page import render

    if not recipe.inputs:
        recipe = dataclasses.replace(recipe, inputs=workplace.read_recipe(place.out).inputs)
    file = place.out / "report.html"
    data = _collect(place.out, recipe)
    write_text(file, render(data))
    if data.comparison is not None and data.comparison.trial is not None:
        result = cast("dict[str, Any]", workplace.read_index(place.out)["compare"])
        tokens, trial = workplace.artifact_at(place.out, "tokens"), data.comparison.trial
        reporting_comparison.write_tables(place.out, result, tokens, _resampled(result), trial)
    return file


def collect(out: Path) -> ReportData:
    """Everything the report says of an output folder."""
    return _collect(out, workplace.read_recipe(out))


def _collect(out: Path, recipe: Recipe) -> ReportData:
    index = workplace.read_index(out)
    if "curate" not in index:  # trained on what was curated elsewhere
        trained, record = reporting_training.training(out), _provenance(out, recipe, index)
        inputs = tuple(name for source in recipe.sources.values() for name in (source.curated, *source.inputs) if name)
        routes = reporting_continual.continual(out)
        return ReportData(recipe.name, recipe.about, inputs, training=trained, continual=routes, provenance=record)
    curated = workplace.curated_at(out)
    story = reporting_curation.Story(curated, recipe.curate)
    data = ReportData(
        title=recipe.name,
        about=recipe.about,
        inputs=recipe.inputs,
        funnel=reporting_curation.funnel(story),
        distributions=tuple(reporting_curation.distributions(story)),
        dropped=tuple(reporting_curation.dropped_examples(story)),
        kept=reporting_curation.kept_examples(story),
        duplicates=tuple(reporting_curation.duplicate_pairs(story)),
        language_drops=reporting_quality.language_drops(story),
        cuts=tuple(reporting_quality.cuts(story)),
        duplicate_searches=tuple(reporting_quality.duplicate_searches(story, out)),
        benchmarks=reporting_quality.benchmark_leaks(story),
        training=reporting_training.training(out),
        continual=reporting_continual.continual(out),
        provenance=_provenance(out, recipe, index),
    )
    if "tokens" not in index or not _is_of(workplace.artifact_at(out, "tokens"), curated.kept):
        return data
    return dataclasses.replace(
        data,
        comparison=_comparison(out, story, cast(Any, index["compare"])) if "compare" in index else None,
        leaks=_leaks(out, cast("dict[str, str]", index["audit"])) if "audit" in index else None,
        law=reporting_law.of_folder(workplace.artifact_at(out, "forecast"), out) if "forecast" in index else None,
    )


def _is_of(tokens: Artifact, kept: Artifact) -> bool:
    parents = cast("dict[str, str]", tokens.manifest["parents"])
    return parents["documents"] == kept.fingerprint


def _comparison(out: Path, story: reporting_curation.Story, result: Mapping[str, Any]) -> Comparison:
    target, baseline = str(result["target"]), str(result["baseline"])
    rows = [row for row in cast("list[dict[str, Any]]", result["rows"]) if not row["arm"].startswith(f"{baseline}@")]
    names = list(dict.fromkeys(str(row["arm"]) for row in rows))
    domains = list(dict.fromkeys(str(row["domain"]) for row in rows))
    said = cast("str | list[str]", result["verdict"])
    tokens = workplace.artifact_at(out, "tokens")
    return Comparison(
        verdict=(said,) if isinstance(said, str) else tuple(said),
        target=target,
        arms=tuple(_arm(out, name, result, [row for row in rows if row["arm"] == name]) for name in names),
        notes=tuple(str(note) for note in result["notes"]),
        domains=tuple((domain, _means(rows, names, domain)) for domain in domains),
        curves=tuple(_curves(out, [row for row in rows if row["domain"] == target])),
        trial=reporting_comparison.trial(out, result, story, tokens, _resampled(result)),
    )


def _resampled(result: Mapping[str, Any]) -> float:
    """Share of the pool that each seed drew, as it was when the comparison was made."""
    return float(result.get("resample", 1.0))


def _means(rows: Sequence[Mapping[str, Any]], names: Sequence[str], domain: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in names:
        values = [float(row["bits_per_byte"]) for row in rows if (row["arm"], row["domain"]) == (name, domain)]
        if values:
            found[name] = float(np.mean(values))
    return found


def _arm(out: Path, name: str, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> ArmResult:
    target = result["target"]
    summary = next(arm for arm in result["arms"] if (arm["arm"], arm["domain"]) == (name, target))
    differences = {d["terms"]: d for d in result["differences"] if (d["arm"], d["domain"]) == (name, target)}
    intervals = {terms: Interval(**d["bits_per_byte"]) for terms, d in differences.items()}
    single = all(len(row["chosen_documents"]) == 1 for row in rows)
    unfair = [f"not at {terms}" for terms, d in differences.items() if not d["fair"]]
    return ArmResult(
        arm=name,
        role="baseline" if name == result["baseline"] else "ceiling" if name == result["ceiling"] else "",
        bits_per_byte=Interval(**summary["bits_per_byte"]),
        at_equal_tokens=intervals.get("equal tokens"),
        at_equal_cost=intervals.get("equal total cost"),
        flops_select=summary["flops_select"],
        flops_train=summary["flops_train"],
        seconds_select=_seconds(Store(out).logged().get(f"choosing {name}", {}), "cpu_seconds"),
        tokens=summary["tokens"],
        unique_tokens=float(np.mean([row["unique_tokens"] for row in rows])) if single else None,
        epochs=float(np.mean([row["epochs"] for row in rows])) if single else None,
        verdict=", ".join(unfair),
    )


def _curves(out: Path, rows: Sequence[Mapping[str, Any]]) -> list[LossCurve]:
    by_fingerprint = {run.fingerprint: run for run in Store(out).all() if run.manifest["noun"] == "Run"}
    found: list[LossCurve] = []
    for row in rows:
        tokens, losses = list[float](), list[float]()
        for stage in _stages(Artifact(out / "artifacts" / row["run"]), by_fingerprint):
            log = stage.table(["tokens", "loss_nats_per_token"])
            ahead = arrow.numpy(log, "tokens") > (tokens[-1] if tokens else 0)
            tokens += arrow.numpy(log, "tokens")[ahead].astype(float).tolist()
            losses += arrow.numpy(log, "loss_nats_per_token")[ahead].tolist()
        if tokens:
            found.append(LossCurve(str(row["arm"]), int(row["seed"]), tuple(tokens), tuple(losses)))
    return found


def _stages(run: Artifact, by_fingerprint: Mapping[str, Artifact]) -> list[Artifact]:
    """The runs that this one continued, first to last."""
    before = cast("dict[str, str]", run.manifest["parents"]).get("after")
    earlier = by_fingerprint.get(before) if before else None
    return [*(_stages(earlier, by_fingerprint) if earlier else []), run]


def _leaks(out: Path, folders: Mapping[str, str]) -> LeakCheck:
    domains: list[tuple[str, dict[str, int]]] = []
    items: list[LeakItem] = []
    method = ""
    for domain, folder in folders.items():
        artifact = Artifact(out / "artifacts" / folder)
        method = str(cast("dict[str, Json]", artifact.manifest["identity"])["method"]).rpartition(".")[2]
        table = artifact.table(["item", "share", "verdict"])
        said = [str(verdict) for verdict in arrow.strings(table, "verdict")]
        order = {"leaked": 0, "suspect": 1, "clean": 2, "untestable": 3}
        domains.append(
            (domain, {v: said.count(v) for v in sorted({*order, *said}, key=lambda v: (order.get(v, 9), v))})
        )
        columns = zip(arrow.strings(table, "item"), arrow.numpy(table, "share").tolist(), said, strict=True)
        items += [LeakItem(str(item), domain, share, verdict) for item, share, verdict in columns if share > 0]
    items.sort(key=lambda item: (-item.share, item.domain, item.item))
    blind = "It finds what stands there word for word; paraphrases it does not see. Untestable items are too short."
    return LeakCheck(method, tuple(domains), tuple(items[:N_WORST]), blind if method == "ngram_overlap" else "")


def _provenance(out: Path, recipe: Recipe, index: Mapping[str, Json]) -> Provenance:
    store = Store(out)
    artifacts = store.all()
    libraries: dict[str, str] = {"seedbed": metadata.version("seedbed")}
    for artifact in artifacts:
        for name, version in sorted(_libraries(artifact.manifest["identity"])):
            libraries.setdefault(name, version)
    logged, names = store.logged(), {artifact.path.name for artifact in artifacts}
    times = (StepTime(n, _seconds(e, "seconds"), _seconds(e, "cpu_seconds")) for n, e in sorted(logged.items()))
    top = ("documents", "ledger.json", "quarantine", "recipe.json", "runs.csv", "fit.json")
    top += ("model", "checkpoints", "metrics.parquet", "train.json")
    folders = [(name, name) for name in top if (out / name).exists()]
    folders += [(role, f"artifacts/{folder}") for role, folder in _folders("", dict(index)) if folder in names]
    return Provenance(
        recipe_yaml=recipes.to_yaml(recipe),
        versions=tuple(libraries.items()),
        times=tuple(time for time in times if time.artifact in names),
        folders=tuple(folders),
    )


def _libraries(tree: Json) -> set[tuple[str, str]]:
    """Every (library, version) below a key `libraries`."""
    found: set[tuple[str, str]] = set()
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "libraries" and isinstance(value, dict):
                found |= {(name, str(version)) for name, version in value.items()}
            else:
                found |= _libraries(value)
    elif isinstance(tree, list):
        for value in tree:
            found |= _libraries(value)
    return found


def _folders(role: str, tree: Json) -> list[tuple[str, str]]:
    """(role, folder name) of the artifacts in the index; the many of a comparison are in its own rows."""
    if isinstance(tree, str):
        return [(role, tree)]
    if not isinstance(tree, dict) or role == "compare":
        return []
    return [pair for key, value in tree.items() for pair in _folders(f"{role} {key}".strip(), value)]


def _seconds(entry: Mapping[str, Json], name: str) -> float | None:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else None
