"""Should a small domain corpus be read more often than its size says? Shares by temperature, at equal tokens.

    python benchmarks/effect/continual/upsampling.py --corpus DIR [--out runs/continual-upsampling] [--seeds 3]

General manuals and 250 kB of one project's documentation, read from scratch in their natural proportion, flattened by
mT5's temperature, and half and half (Wada et al. 2020, arXiv 2005.07202, up-sample a small corpus so). Told: bits per
byte on held-out text of both, and the accuracy of a linear probe on mean hidden states that says which part of the
documentation a held-out page is from. Writes continual_upsampling.csv to benchmarks/results/: means and paired
differences to the natural proportion. Two workers need some 5 minutes.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from routes import RESULTS, recipe_of, rows
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from seedbed import pipeline
from seedbed.core.fingerprint import hash_bytes
from seedbed.pipeline import models
from seedbed.recipe import EvaluatePlan, SourcePlan
from seedbed.recipe.continual import ContinualPlan, Route, TrainingStage
from seedbed.select.mixers.temperature import Temperature
from seedbed.stats.intervals import mean_interval, paired_interval

GENERAL, DOMAIN = ("manpages", "libreoffice-help-en-us", "git-doc"), ("postgresql-doc-15",)
DOMAIN_BYTES, GENERAL_BYTES, HELDOUT_BYTES = 250_000, 8_000_000, 120_000
PARTS = ("sql", "catalog", "functions", "libpq", "ecpg", "view", "app", "infoschema")
PAGES = 320
ARMS = {"natural": 1.0, "mT5": 10 / 3, "balanced": 1e6}


def main() -> None:
    """See the module's docstring."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--corpus", type=Path, required=True)
    ask.add_argument("--out", type=Path, default=Path("runs/continual-upsampling"))
    ask.add_argument("--results", type=Path, default=RESULTS)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--tokens", type=int, default=1_000_000)
    ask.add_argument("--workers", type=int, default=2)
    given = ask.parse_args()
    texts(given.corpus, given.out / "texts")
    run(given.out, given.tokens, given.seeds, given.workers)
    values = measured(given.out, given.seeds)
    given.results.mkdir(parents=True, exist_ok=True)
    with (given.results / "continual_upsampling.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(
            ("arm", "measure", "value", "low", "high", "against_natural", "against_low", "against_high", "seeds")
        )
        for (arm, measure), found in values.items():
            mean = mean_interval(found)
            gap = paired_interval(found, values["natural", measure])
            numbers = [f"{x:.5g}" if x is not None else "" for x in (mean.value, mean.low, mean.high)]
            gaps = [f"{x:.5g}" if x is not None else "" for x in (gap.value, gap.low, gap.high)]
            table.writerow((arm, measure, *numbers, *(gaps if arm != "natural" else ["", "", ""]), len(found)))
            print(arm, measure, *numbers, *gaps)


def texts(corpus: Path, out: Path) -> None:
    """general.jsonl and domain.jsonl, held-out text of both, and labelled pages of the domain."""
    if (out / "done").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    pages: list[dict[str, str]] = []
    for name, packages, limit in (("general", GENERAL, GENERAL_BYTES), ("domain", DOMAIN, DOMAIN_BYTES)):
        train, held, done, seen = 0, 0, [], []
        for row in sorted(rows(corpus, packages, "en"), key=lambda row: hash_bytes(row["text"].encode())):
            text, part = row["text"][:6000], re.match(r"(\w+?)-", Path(row["url"]).name)
            line = json.dumps({"text": text, "url": row["url"]}, ensure_ascii=False) + "\n"
            if held < HELDOUT_BYTES:
                seen.append(line)
                held += len(text.encode())
            elif name == "domain" and part is not None and part[1] in PARTS and len(pages) < PAGES:
                pages.append({"text": text, "part": part[1]})
            elif train < limit:
                done.append(line)
                train += len(text.encode())
        (out / f"{name}.jsonl").write_text("".join(done), encoding="utf-8")
        (out / f"{name}-heldout.jsonl").write_text("".join(seen), encoding="utf-8")
    (out / "pages.json").write_text(json.dumps(pages), encoding="utf-8")
    (out / "done").write_text("")


def run(out: Path, tokens: int, seeds: int, workers: int) -> None:
    """Train the arms."""
    recipe = recipe_of("language", out / "texts", tokens, tokens, seeds)
    shares = {"general": 1.0, "domain": 1.0}
    routes = tuple(
        Route(arm, (TrainingStage(arm, tokens, shares, mixer=Temperature(heat), begin="scratch"),))
        for arm, heat in ARMS.items()
    )
    folder = out / "texts"
    heldout = {name: str(folder / f"{name}-heldout.jsonl") for name in ("general", "domain")}
    assert recipe.evaluate is not None
    recipe = dataclasses.replace(
        recipe,
        sources={name: SourcePlan((str(folder / f"{name}.jsonl"),)) for name in ("general", "domain")},
        continual=ContinualPlan(routes, "natural", seeds),
        evaluate=EvaluatePlan(heldout, "domain", recipe.evaluate.task, recipe.evaluate.audit),
    )
    pipeline.run(recipe, out, workers=workers)


def measured(out: Path, seeds: int) -> dict[tuple[str, str], np.ndarray]:
    """(arm, measure) -> a value a seed."""
    with (out / "continual.csv").open(encoding="utf-8") as lines:
        told = [row for row in csv.DictReader(lines) if row["order"] == "1"]
    values = {
        (arm, f"bits per byte, {domain}"): np.array(
            [float(row["bits_per_byte"]) for row in told if (row["route"], row["domain"]) == (arm, domain)]
        )
        for arm in ARMS
        for domain in ("domain", "general")
    }
    pages = json.loads((out / "texts" / "pages.json").read_text(encoding="utf-8"))
    common = {part for part, count in Counter(page["part"] for page in pages).items() if count >= 20}
    pages = [page for page in pages if page["part"] in common]
    for arm in ARMS:
        right = []
        for seed in range(seeds):
            [folder] = (out / "artifacts").glob(f"run-{arm}-*-seed{seed}-*")
            features = hidden(folder, [page["text"] for page in pages])
            said = cross_val_predict(
                LogisticRegression(C=1.0, max_iter=2000), features, [p["part"] for p in pages], cv=5
            )
            right.append(float(np.mean(said == np.array([page["part"] for page in pages]))))
        values[arm, "accuracy of the probe"] = np.array(right)
    return values


def hidden(folder: Path, texts: list[str]) -> np.ndarray:
    """Mean hidden state of the first context of each text, standardised."""
    from tokenizers import Tokenizer

    found = models.read(folder)
    assert found.tokenizer_json is not None
    tokenizer = Tokenizer.from_str(found.tokenizer_json)
    rows = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer.encode(text).ids[: found.decoder.shape.context]
            rows.append(found.decoder.hidden(torch.tensor([ids]))[0].mean(0).numpy())
    states = np.stack(rows)
    return (states - states.mean(0)) / (states.std(0) + 1e-6)


if __name__ == "__main__":
    main()
