"""Why: the life of one document, from the record it was read from to its tokens, and from a token back to it."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow, remote
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.curate.by_language import in_language
from seedbed.curate.run import Curated
from seedbed.pipeline import lookup, workplace
from seedbed.pipeline.lookup import Place, TokenPlace
from seedbed.recipe import Recipe

MAX_MEMBERS = 20
MAX_DIFF_LINES, MAX_DIFF_CHARS, MAX_COMPARED_LINES = 40, 200, 2000
AROUND_TOKENS = 16

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


@dataclasses.dataclass(frozen=True)
class Measured:
    """One number measured on a document, with the threshold it was held against (None: it decides nothing)."""

    step: str
    signal: str
    value: float | str
    rule: str = ""
    side: str = ""
    threshold: Json = None
    broken: bool = False


@dataclasses.dataclass(frozen=True)
class Span:
    """A passage that an edit cut or masked: bytes `start` to `end` of the text as that edit found it."""

    start: int
    end: int
    kind: str


@dataclasses.dataclass(frozen=True)
class Edition:
    """What one edit did to the document.

    Args:
        step: path of the edit.
        bytes_before, bytes_after: of the text.
        spans: what it cut or masked, where it tells.
    """

    step: str
    bytes_before: int
    bytes_after: int
    spans: tuple[Span, ...]


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """The group of documents that are taken for the same.

    Args:
        size: documents in the group.
        members: ids (hex) of some of them.
        survivor, survivor_url: the one that was kept; empty where none of the group was.
        diff: lines by which this document (-) and the survivor (+) differ, at most 40.
    """

    size: int
    members: tuple[str, ...]
    survivor: str = ""
    survivor_url: str = ""
    diff: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Life:
    """The life of one document.

    Args:
        id: in hex.
        verdict: "kept", "dropped" or "errored".
        reason: the rule or error that decided.
        file, offset: the record it was read from: path below the input root; byte, line or row there.
        url, source, language, date, text: as read.
        failures: every rule it breaks.
        measured: its numbers, in recipe order.
        editions: what edits did to it, in recipe order.
        duplicates: its duplicate group, or None.
        tokens: where it was tokenised, or None.
        copies: how often an epoch reads it, by Weights folder.
        note: message and traceback of an error.
    """

    id: str
    verdict: str
    reason: str
    file: str = ""
    offset: int = 0
    url: str = ""
    source: str = ""
    language: str = ""
    date: str = ""
    text: str = ""
    failures: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    editions: tuple[Edition, ...] = ()
    duplicates: Duplicates | None = None
    tokens: TokenPlace | None = None
    copies: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])
    note: str = ""

    @property
    def survivor(self) -> str:
        """Id of the document kept in its place; empty where it was kept itself, or is no duplicate."""
        found = self.duplicates.survivor if self.duplicates else ""
        return "" if found == self.id else found


@dataclasses.dataclass(frozen=True)
class TokenOrigin:
    """Where one token comes from.

    Args:
        life: of its document.
        position: which token of the document it is, from 0.
        before, token, after: text of the tokens around it, and its own.
    """

    life: Life
    position: int
    before: str
    token: str
    after: str


def why(out: str | Path, document: str) -> Life:
    """The life of a document, by its id in hex or a unique beginning of it, or by its URL."""
    if not document:
        raise RecipeError("document", "no id and no URL was given", "Give one, or --token SHARD:OFFSET.")
    curated, recipe = workplace.curated_at(out), workplace.read_curation(out)
    artifacts = [curated.read, *curated.texts.values(), *curated.signals.values()]
    place = lookup.find_one(curated.read, document)
    if place is not None:
        key = lookup.id_at(curated.read, place)
        return _life(workplace.local(out), curated, recipe, place, lookup.event_of(artifacts, key.hex()))
    event = lookup.event_of(artifacts, document)
    if event is None:
        mend = "Give an id in hex (or its beginning), or a URL, of a document that was read."
        raise SeedbedError(document, f"no document in {remote.url_of(out)} has this id or URL", mend)
    return _life_of_event(event)


def why_token(out: str | Path, token: str) -> TokenOrigin:
    """The document that a token comes from. `token` is SHARD:OFFSET, such as "00003:81920"."""
    key, place, position = lookup.document_of_token(workplace.local(out), token)
    before, own, after = _around(workplace.local(out), place, position)
    return TokenOrigin(why(out, key.hex()), position, before, own, after)


def _life_of_event(event: Mapping[str, Any]) -> Life:
    """A record that never became a document."""
    file, _, offset = cast(str, event["locator"]).rpartition(":")
    return Life(
        id=event["id"].hex(),
        verdict=event["kind"],
        reason=event["reason"],
        file=file,
        offset=int(offset),
        url=event["message"] if event["kind"] == "dropped" else "",
        note=_note(event) if event["kind"] == "errored" else "",
    )


def _note(event: Mapping[str, Any]) -> str:
    return "\n".join(part for part in (event["message"], event["traceback"]) if part)


def _life(out: Path, curated: Curated, recipe: Recipe, place: Place, event: dict[str, Any] | None) -> Life:
    document = arrow.read_row(place.of(curated.read), place.row)
    decision = arrow.read_row(place.of(curated.decisions), place.row)
    identifier = recipe.curate.identifier
    found = arrow.read_row(place.of(curated.signals[identifier.name()]), place.row, ["language"]) if identifier else {}
    language = str(found.get("language", document["language"]))
    return Life(
        id=document["id"].hex(),
        verdict="kept" if decision["kept"] else "errored" if event is not None else "dropped",
        reason=event["reason"] if event else decision["reason"],
        **{name: document[name] for name in ("file", "offset", "url", "source", "date", "text")},
        language=language,
        failures=tuple(decision["failures"]),
        measured=tuple(_measured(curated, recipe, place, language)),
        editions=tuple(_editions(curated, place)),
        duplicates=_duplicates(curated, decision, place),
        tokens=lookup.tokens_of(out, document["id"]),
        copies=lookup.copies_of(out, document["id"]),
        note=_note(event) if event else "",
    )


def _measured(curated: Curated, recipe: Recipe, place: Place, language: str) -> Iterator[Measured]:
    for general in recipe.curate.filters:
        step = in_language(general, language, recipe.curate.by_language)
        values = arrow.read_parquet(place.of(curated.signals[step.name()])).slice(place.row, 1)
        broken = step.failures(values)
        ruled: set[str] = set()
        for rule in step.rules:
            value = values.column(rule.signal)[0].as_py()
            ruled.add(rule.signal)
            threshold = cast(Json, getattr(step, rule.name))
            is_broken = rule.name in broken and bool(broken[rule.name][0])
            yield Measured(step.name(), rule.signal, value, rule.name, rule.side, threshold, is_broken)
        for name in values.column_names:
            if name not in ruled:
                yield Measured(step.name(), name, values.column(name)[0].as_py())


def _editions(curated: Curated, place: Place) -> Iterator[Edition]:
    """What each edit did, the text version before it being that of the edit before."""
    for before, (step, after) in zip([curated.read, *curated.texts.values()], curated.texts.items(), strict=False):
        spans = arrow.read_parquet(place.of(after, "spans"))
        mine = arrow.take(spans, np.flatnonzero(arrow.numpy(spans, "row") == place.row)).drop_columns(["row"])
        sizes = [len(_text(version, place).encode()) for version in (before, after)]
        yield Edition(step, *sizes, spans=tuple(Span(**row) for row in mine.to_pylist()))


def _text(documents: Artifact, place: Place) -> str:
    return cast(str, arrow.read_row(place.of(documents), place.row, ["text"])["text"])


def _duplicates(curated: Curated, decision: Mapping[str, Any], place: Place) -> Duplicates | None:
    group = decision["duplicate_group"]
    if group < 0:
        return None
    rows = np.flatnonzero(arrow.numpy(curated.decisions.table(["duplicate_group"]), "duplicate_group") == group)
    some = [lookup.place_of_row(curated.read, int(row)) for row in rows[:MAX_MEMBERS]]
    members = tuple(lookup.id_at(curated.read, each).hex() for each in some)
    at = _survivor(curated, decision, place)
    if at is None:
        return Duplicates(len(rows), members)
    about = arrow.read_row(at.of(curated.read), at.row, ["id", "url"])
    is_same = (at.shard, at.row) == (place.shard, place.row)
    diff = () if is_same else differing_lines(_text(curated.final, place), _text(curated.final, at))
    return Duplicates(len(rows), members, about["id"].hex(), about["url"], diff)


def _survivor(curated: Curated, decision: Mapping[str, Any], place: Place) -> Place | None:
    """The kept document at the end of the chain: what survived one deduper may have been dropped by the next."""
    seen: set[bytes] = set()
    at: Place | None = place
    while at is not None and not decision["kept"]:
        key = cast("bytes | None", decision["survivor"])
        if key is None or key in seen:
            return None
        seen.add(key)
        at = lookup.find_one(curated.read, key.hex())
        decision = arrow.read_row(at.of(curated.decisions), at.row) if at is not None else {}
    return at


def differing_lines(first: str, second: str) -> tuple[str, ...]:
    """Lines (long ones cut at sentence ends) of `first` alone (-) and `second` alone (+), a bounded number of them."""
    told = difflib.unified_diff(_lines(first), _lines(second), n=0, lineterm="")
    changed = (line for line in itertools.islice(told, 2, None) if not line.startswith("@@"))
    found = [line[:MAX_DIFF_CHARS] for line in itertools.islice(changed, MAX_DIFF_LINES + 1)]
    return (*found[:MAX_DIFF_LINES], "...") if len(found) > MAX_DIFF_LINES else tuple(found)


def _lines(text: str) -> list[str]:
    parts = (part for line in text.splitlines() for part in _SENTENCE_END.split(line))
    return list(itertools.islice(parts, MAX_COMPARED_LINES))


def _around(out: Path, place: TokenPlace, position: int) -> tuple[str, str, str]:
    """Text before, of and after a token, not beyond its document."""
    from seedbed.tokenize.encode import Encoder

    tokens, tokenizer = (workplace.artifact_at(out, role) for role in ("tokens", "tokenizer"))
    encoder = Encoder.open(tokenizer.path)
    flat = np.memmap(tokens.path / place.shard, np.dtype(str(tokens.about["dtype"])), "r")
    ids = flat[place.offset : place.offset + place.n_tokens].tolist()
    cuts = (max(0, position - AROUND_TOKENS), position, position + 1, position + 1 + AROUND_TOKENS)
    before, own, after = (encoder.decode(ids[a:b]) for a, b in itertools.pairwise(cuts))
    return before, own, after
