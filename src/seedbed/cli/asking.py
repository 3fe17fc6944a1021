"""Verbs that ask and tidy: what became of a document, what else would be kept, what may go, what leaves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer

from seedbed.cli.options import RECIPES, AsJson, DryRun, Folder, Set, Workers, app, settings_of, show_table, store_text
from seedbed.core.errors import RecipeError
from seedbed.core.remote import inside, url_of


@app.command()
def status(folder: Folder, as_json: AsJson = False) -> None:
    """What lies in an output folder: every artifact, its size, its seconds, and whether it is in use."""
    from seedbed.core.units import duration, human
    from seedbed.pipeline import upkeep

    rows = upkeep.status(folder)
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
        return
    cells: list[list[Any]] = []
    for row in rows:
        spent = duration(row.seconds) if row.seconds is not None else ""
        cells.append([row.name, row.rows, human(row.bytes, "B"), spent, row.state])
    show_table("", ["artifact", "rows", "size", "made in", "state"], cells)


@app.command()
def why(folder: Folder,
        document: Annotated[str, typer.Argument(help="Id (or its beginning) or URL.")] = "",
        token: Annotated[str, typer.Option("--token", help="SHARD:OFFSET of a token, instead of a document.")] = "",
        as_json: AsJson = False) -> None:  # fmt: skip
    """The life of one document: where it came from, every number against its threshold, and what became of it."""
    from seedbed.pipeline import why as whys

    if bool(document) == bool(token):
        raise RecipeError("why", "asks for one document or one token", "Give an id or URL, or --token SHARD:OFFSET.")
    origin = whys.why_token(folder, token) if token else None
    life = origin.life if origin else whys.why(folder, document)
    if as_json:
        print(json.dumps(dataclasses.asdict(origin or life)))
        return
    if origin:
        print(f"token {origin.position} of its document: ...{origin.before}[{origin.token}]{origin.after}...")
    _print_life(life)


def _print_life(life: Any) -> None:
    print(f"{life.id}  {life.verdict}" + (f" by {life.reason}" if life.reason else ""))
    place = f"{life.file}, at {life.offset}" if life.file else ""
    told = {"file": place, "url": life.url, "source": life.source if life.source != life.file else ""}
    for name, value in {**told, "language": life.language, "date": life.date, "note": life.note}.items():
        if value:
            print(f"  {name:9} {value}")
    rows = [[f"{m.step}.{m.signal}", _short(m.value), f"{m.rule} {_short(m.threshold)}" if m.rule else "",
             "breaks" if m.broken else ""] for m in life.measured]  # fmt: skip
    if rows:
        show_table("", ["measured", "value", "threshold", ""], rows)
    for edition in life.editions:
        print(f"  {edition.step}: {edition.bytes_before:,} to {edition.bytes_after:,} bytes")
        for span in edition.spans:
            print(f"    {span.kind}: bytes {span.start} to {span.end}")
    if life.duplicates:
        kept = life.duplicates.survivor
        which = "this one" if kept == life.id else f"{kept} {life.duplicates.survivor_url}" if kept else "none of them"
        print(f"  one of {life.duplicates.size} duplicates; kept: {which}")
        for line in life.duplicates.diff:
            print(f"    {line}")
    if life.tokens:
        print(f"  {life.tokens.n_tokens:,} tokens at {life.tokens.shard}:{life.tokens.offset}")
    for name, copies in life.copies.items():
        print(f"  read {copies:g} times an epoch in {name}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command("what-if")
def what_if(folder: Folder, sets: Set = None,
            save: Annotated[Optional[Path], typer.Option(help="Write the new recipe here, .yaml or .json.")] = None,  # noqa: UP045
            as_json: AsJson = False) -> None:  # fmt: skip
    """What other thresholds would keep, from stored numbers: no text is read and nothing is changed."""
    from seedbed.pipeline import what_if as asking

    if not sets:
        raise RecipeError("--set", "nothing is to be changed", "Give --set PATH=VALUE.")
    found = asking.what_if(folder, settings_of(sets))
    if save is not None:
        store_text(save, found.saved(save.suffix))
    if as_json:
        told = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name != "recipe"}
        print(json.dumps(told, default=dataclasses.asdict))
        return
    _print_yields(found)
    rows = [[rule.rule, *rule.breaking, *rule.alone] for rule in found.rules if any((*rule.breaking, *rule.alone))]
    show_table("\nBy rule", ["rule", "break it", "then", "only this rule", "then"], rows)
    if found.borderline:
        cells = [["passes" if b.passes else "breaks", _short(b.value), b.changes, b.url or b.id, b.beginning]
                 for b in found.borderline]  # fmt: skip
        show_table(f"\nClosest to {found.borderline[0].rule}", ["", "value", "", "document", "begins"], cells)
    print(f"\nTo keep these: {found.command}" + (f"\nRecipe: {save}" if save else ""))


def _print_yields(found: Any) -> None:
    old, new = found.before, found.after
    rows: list[list[Any]] = [["kept", old.kept, new.kept], ["bytes", old.bytes, new.bytes]]
    rows.append(["tokens", old.tokens, new.tokens])
    rows += [[f"  dropped: {r}", old.dropped.get(r, 0), new.dropped.get(r, 0)] for r in {**old.dropped, **new.dropped}]
    show_table("", ["", "now", "then"], rows)
    if found.tokens_estimated:
        print(f"{found.tokens_estimated:,} of the tokens then are estimated from bytes.")
    print(f"{len(found.gained):,} documents would newly be kept, {len(found.lost):,} would be lost.")


@app.command()
def forget(folder: Folder, urls: Annotated[Path, typer.Argument(help="A file: a URL or a document's id a line.")],
           workers: Workers = 1, dry_run: DryRun = False, as_json: AsJson = False) -> None:  # fmt: skip
    """Remove documents and all that was derived from them, with a certificate; later runs here drop them too."""
    from seedbed.pipeline import forget as forgetting

    done = forgetting.forget(folder, forgetting.asked_for(urls), workers=workers, dry_run=dry_run)
    told: Any = done.told
    if as_json:
        print(json.dumps(told))
        return
    missing = sum(1 for line in told["asked"] if not line["documents"])
    verb = "would be" if dry_run else "are"
    print(f"{len(told['documents']):,} documents {verb} forgotten; {missing:,} of what was asked is not here.")
    if told["same_text_elsewhere"]:
        print(f"{len(told['same_text_elsewhere']):,} duplicates of them were not asked for and stay: "
              f"{', '.join(told['same_text_elsewhere'][:5])}")  # fmt: skip
    for model in told["still_remember"]["models"]:
        print(f"still remembers: {model}")
    print(told["still_remember"]["note"])
    if not dry_run:
        print(f"Certificate: {inside(folder, f'certificates/{done.file.name}')}")


@app.command()
def gc(folder: Folder, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove the artifacts that the newest run does not use, and those that were never finished."""
    from seedbed.core.units import human
    from seedbed.pipeline import upkeep

    gone = upkeep.gc(folder, dry_run=dry_run)
    if as_json:
        print(json.dumps([dataclasses.asdict(each) for each in gone]))
        return
    for each in gone:
        print(f"{each.name}  {human(each.bytes, 'B')}  {each.state}")
    verb = "would be removed" if dry_run else "removed"
    print(f"{len(gone)} artifacts, {human(sum(each.bytes for each in gone), 'B')}, {verb}.")


@app.command()
def verify(folder: Folder, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Check every file against its manifest, and the ledger against the documents themselves."""
    from seedbed.core.units import human
    from seedbed.pipeline import verify as verifying

    found = verifying.verify(folder, dry_run=dry_run)
    if as_json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        for problem in found.problems:
            print(problem)
        verb = "would be checked" if dry_run else "checked"
        print(f"{found.artifacts} artifacts, {found.files} files, {human(found.bytes, 'B')} {verb}; "
              f"{len(found.problems)} problems.")  # fmt: skip
    if found.problems:
        raise typer.Exit(1)


@app.command()
def export(
    folder: Annotated[str, typer.Argument(help="Output folder of a curation; for --to hf any folder that holds a model: a training folder, a checkpoint, a model folder.")],  # noqa: E501
    target: Annotated[str, typer.Argument(help="A new file or folder, here or in a store.")] = "",
    to: Annotated[str, typer.Option(help="jsonl.zst, jsonl.gz, jsonl: documents; selection: Parquet with the copies of each; mixture: shares as JSON; megatron, mds: tokens; hf: the model, as Hugging Face's folder.")] = "jsonl.zst",  # noqa: E501
    out: Annotated[str, typer.Option("--out", help="The same as TARGET.")] = "",
    weights: Annotated[str, typer.Option(help="Which selection or mixture: a folder that `select` printed, or a method such as dsir.")] = "",  # noqa: E501
    rows: Annotated[str, typer.Option(help="Of a selection: all documents, those selected, or repeated: a row a reading, for programs that know no copies.")] = "",  # noqa: E501
    seed: Annotated[Optional[int], typer.Option(help="Of repeated rows: that of the training; 0 unless told.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Hand kept documents, selections, tokens or a model to other programs. `documents/` is plain Parquet already."""
    from seedbed.pipeline import export as exporting

    if bool(target) == bool(out):
        raise RecipeError("export", "asks for one file or folder to write", "Name it as TARGET or with --out.")
    goal = target or out
    given = {"weights": weights or None, "rows": rows or None, "seed": seed}
    how = cast(exporting.How, {name: value for name, value in given.items() if value is not None})
    told = exporting.export(folder, goal, to, **how)
    words = (f"{n:,.0f} {name.replace('_', ' ')}" if isinstance(n, int | float) else str(n) for name, n in told.items())
    print(json.dumps(told) if as_json else ", ".join(words))
    if not as_json:
        print(f"Exported: {url_of(goal)}")


@app.command("compare-dialects")
def compare_dialects(
    method: Annotated[str, typer.Argument(help="A filter with dialects, such as gopher_quality.")],
    first: Annotated[str, typer.Argument(help="One of its dialects, such as paper.")],
    second: Annotated[str, typer.Argument(help="Another one, such as datatrove.")],
    inputs: Annotated[list[str], typer.Argument(help="Files and folders, or the output folder of one curation.")],
    max_documents: Annotated[Optional[int], typer.Option(min=1, help="Compare no more than these.")] = None,  # noqa: UP045
    recipe: Annotated[str, typer.Option(help=f"Its readers and extractor read the inputs. {RECIPES}")] = "fineweb_en",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show the documents that two dialects of one filter disagree on, with the rule and both numbers."""
    from seedbed import api

    found = api.compare_dialects(method, first, second, *inputs, max_documents=max_documents, recipe=recipe)
    if as_json:
        print(json.dumps({**dataclasses.asdict(found), "agreement": found.agreement}))
        return
    print(f"{found.documents:,} documents, the same verdict on {found.agreement:.2%}: "
          f"both keep {found.kept_by_both:,}, "
          f"only {first} {found.kept_by_first:,}, only {second} {found.kept_by_second:,}, "
          f"none {found.kept_by_none:,}")  # fmt: skip
    rows = [[rule, counts.get(first, 0), counts.get(second, 0)] for rule, counts in found.rules.items()]
    if rows:
        show_table("\nRules that make the difference", ["rule", f"{first} keeps", f"{second} keeps"], rows)
        cells = [[e.rule, e.kept_by, *map(_short, e.values), e.url or e.file, e.beginning] for e in found.examples]
        show_table("\nExamples", ["rule", "kept by", first, second, "document", "begins"], cells)
