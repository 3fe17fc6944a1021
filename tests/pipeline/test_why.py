"""The life of a document, against what is known of the corpus and against the bytes themselves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed import api
from seedbed.core import arrow
from seedbed.core.artifact import Request, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import SPANS, DocumentBatch
from seedbed.curate.contract import Edit, Edited
from seedbed.pipeline import lookup, why, workplace
from seedbed.pipeline.data import curate_into
from seedbed.pipeline.workplace import Workplace
from tests.conftest import sample_texts


def decisions(out: Path) -> list[dict[str, object]]:
    folder = next((out / "artifacts").glob("decisions-*"))
    return [row for shard in sorted(folder.glob("part-*")) for row in pq.read_table(shard).to_pylist()]


def test_a_document_knows_its_record(asked: Path, corpus: Path) -> None:
    line = json.loads((corpus / "a.jsonl").read_text().splitlines()[7])
    lives = [why.why(asked, row["id"].hex()) for row in decisions(asked)]  # type: ignore[attr-defined]
    (life,) = [one for one in lives if (one.file, one.offset) == ("a.jsonl", 7)]
    assert life.text == line["text"]
    measured = {m.signal: m for m in life.measured if m.rule in ("min_words", "min_bytes", "languages")}
    assert measured["n_bytes"].value == len(line["text"].encode())
    assert measured["words"].threshold == 50
    assert not measured["words"].broken
    assert life.language == measured["language"].value == "en"
    filters = workplace.read_curation(asked).curate.filters
    told = [(m.step, m.signal) for m in life.measured]
    assert set(told) == {(step.name(), signal.name) for step in filters for signal in step.signals}
    bare = {
        (step.name(), s.name) for step in filters for s in step.signals if s.name not in {r.signal for r in step.rules}
    }
    assert sorted((m.step, m.signal) for m in life.measured if not m.rule) == sorted(bare)
    ruled = [(m.step, m.rule) for m in life.measured if m.rule]
    assert ruled == [(step.name(), rule.name) for step in filters for rule in step.rules]


def test_edits_are_told_from_the_text_as_read_to_the_text_that_was_kept(asked: Path) -> None:
    kept = {row["id"]: row["text"] for row in api.Corpus(asked).documents().to_pylist()}
    lives = [why.why(asked, key) for key in list(kept)[:6]]
    assert any(life.text != kept[life.id] for life in lives), "no edit changed any of them"
    for life in lives:
        assert life.editions[0].bytes_before == len(life.text.encode())
        assert life.editions[-1].bytes_after == len(kept[life.id].encode())


def test_an_error_and_copies_belong_to_a_life(changed: Path) -> None:
    curated, recipe = workplace.curated_at(changed), workplace.read_curation(changed)
    event = {"reason": "ValueError", "message": "poison", "traceback": "line 1"}
    row = next(i for i, decision in enumerate(decisions(changed)) if not decision["kept"])
    life = why._life(changed, curated, recipe, lookup.place_of_row(curated.read, row), event)
    assert (life.verdict, life.reason, life.note) == ("errored", "ValueError", "poison\nline 1")
    key = bytes.fromhex(life.id)
    rows = {"id": pa.array([b"\0" * 16, key], pa.binary(16)), "copies": [1.0, 2.5]}
    request = Request("Weights", "x", {})
    made = Store(changed).make(request, lambda draft: dict(draft.write_table("part-00000.parquet", arrow.table(rows))))
    assert why.why(changed, life.id).copies == {made.path.name: 2.5}


def test_duplicates_name_the_survivor_and_what_differs(asked: Path) -> None:
    pages = [why.why(asked, f"https://a.example/{i}") for i in range(2)]
    dropped = next(life for life in pages if life.verdict == "dropped")
    assert dropped.reason == "minhash.duplicate"
    group = dropped.duplicates
    assert group is not None
    assert group.size == len(group.members) == 3
    assert dropped.id in group.members
    survivor = why.why(asked, dropped.survivor)
    assert survivor.verdict == "kept"
    assert survivor.survivor == ""
    assert 0 < len(group.diff) <= 4
    changed = [line for line in group.diff if "number" in line]
    assert changed
    assert {line[0] for line in group.diff} <= {"-", "+"}
    assert all(line[1:] in (dropped.text if line[0] == "-" else survivor.text) for line in changed)


def test_lines_that_differ_are_few_and_short() -> None:
    first = "\n".join(f"line {i}" for i in range(3000))
    assert why.differing_lines(first, first) == ()
    told = why.differing_lines(first, first.replace("line", "row"))
    assert len(told) == why.MAX_DIFF_LINES + 1
    assert told[-1] == "..."
    told = why.differing_lines("One. Two. Three." + "x" * 9999, "One. 2. Three." + "x" * 9999)
    assert told == ("-Two.", "+2.")


def test_tokens_lead_to_the_document_and_back(asked: Path) -> None:
    kept = api.Corpus(asked).documents()
    folder = next((asked / "artifacts").glob("tokens-pool-*"))
    for row in (0, kept.num_rows // 2, kept.num_rows - 1):
        life = why.why(asked, kept.column("id")[row].as_py())
        assert life.tokens is not None
        ids = np.fromfile(folder / life.tokens.shard, "<u2")
        assert ids[life.tokens.offset + life.tokens.n_tokens - 1] == ids[-1]  # the end-of-text token
        for position in (0, 1, life.tokens.n_tokens - 1):
            token = f"{life.tokens.shard}:{life.tokens.offset + position}"
            origin = why.why_token(asked, token)
            assert (origin.life.id, origin.position) == (life.id, position)
            assert origin.life.url == life.url
        first = why.why_token(asked, f"{life.tokens.shard}:{life.tokens.offset}")
        assert first.before == ""
        assert kept.column("text")[row].as_py().startswith(first.token + first.after[:9])
        assert first.token
        middle = why.why_token(asked, f"{life.tokens.shard[4:9]}:{life.tokens.offset + 30}")
        assert middle.before + middle.token + middle.after in kept.column("text")[row].as_py()


def test_the_last_token_of_a_shard_is_the_last(asked: Path) -> None:
    ids = next(f for f in sorted(asked.glob("artifacts/tokens-pool-*/ids-*.bin")) if f.stat().st_size)
    n_tokens = ids.stat().st_size // 2
    assert why.why_token(asked, f"{ids.name}:{n_tokens - 1}").after == ""
    with pytest.raises(SeedbedError, match=f"has only {n_tokens} tokens"):
        why.why_token(asked, f"{ids.name}:{n_tokens}")


@pytest.mark.parametrize(
    ("token", "message"),
    [("0", "SHARD:OFFSET"), ("0:x", "SHARD:OFFSET"), ("77:0", "no such shard"), ("0:99999999", "has only")],
)
def test_a_token_that_is_not_there_is_said(asked: Path, token: str, message: str) -> None:
    with pytest.raises(SeedbedError, match=message):
        why.why_token(asked, token)


def test_ids_may_be_shortened_as_long_as_they_are_unique(asked: Path) -> None:
    whole = [row["id"].hex() for row in decisions(asked)]  # type: ignore[attr-defined]
    for digits in (31, 9, 6):
        assert why.why(asked, whole[3][:digits]).id == whole[3]
    first = [key for key in whole if key[0] == whole[3][0]]
    if len(first) > 1:
        with pytest.raises(SeedbedError, match="documents have this id or URL"):
            why.why(asked, whole[3][0])
    with pytest.raises(RecipeError, match="no id and no URL"):
        why.why(asked, "")
    ids = np.array([[0xAB, 0xCD] + [0] * 14, [0xAB, 0xC0] + [0] * 14], np.uint8)
    assert lookup.begins(ids, "abc").tolist() == [True, True]
    assert lookup.begins(ids, "abcd").tolist() == [True, False]
    assert lookup.begins(ids, "b").tolist() == [False, False]


def test_no_text_is_read_to_find_a_document(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = decisions(asked)[3]["id"].hex()  # type: ignore[attr-defined]
    read = arrow.read_parquet

    def columns_only(file: Path, columns: list[str] | None = None) -> pa.Table:
        has_text = "text" in pq.read_schema(file).names
        assert not (has_text and (columns is None or "text" in columns)), f"all text of {file} was read"
        return read(file, columns)

    monkeypatch.setattr(arrow, "read_parquet", columns_only)
    monkeypatch.setattr(arrow, "row_groups", lambda *_: pytest.fail("a whole shard was walked"))
    assert why.why(asked, key).id == key


@dataclasses.dataclass(frozen=True)
class Masking(Edit):
    """Masks the word "the"."""

    def edit(self, documents: DocumentBatch) -> Edited:
        spans = {"row": [], "start": [], "end": [], "kind": []}
        texts = documents.texts()
        for row, text in enumerate(texts):
            at = text.encode().find(b" the ")
            if at >= 0:
                for name, value in zip(spans, (row, at + 1, at + 4, "article"), strict=True):
                    spans[name].append(value)
        return Edited.of([text.replace(" the ", " *** ", 1) for text in texts], pa.table(spans, SPANS))


def test_what_edits_cut_and_masked_is_told(tmp_path: Path) -> None:
    rows = sample_texts()[:9]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = api.load_recipe("fineweb_en")
    plan = dataclasses.replace(plain.curate, steps=(Masking(),), survivors=())
    with Workplace.open(tmp_path / "out") as place:
        curated = curate_into(place, dataclasses.replace(plain, curate=plan), [str(tmp_path / "a.jsonl")])
        masked = 0
        for number in range(len(rows)):
            event = why._life(
                place.out,
                curated,
                dataclasses.replace(plain, curate=plan),
                lookup.Place("part-00000.parquet", number),
                None,
            )
            (edition,) = event.editions
            for span in edition.spans:
                masked += 1
                assert rows[number]["text"].encode()[span.start : span.end] == b"the"
                assert span.kind == "article"
                assert edition.bytes_before == edition.bytes_after == len(rows[number]["text"].encode())
        assert masked == sum(" the " in row["text"] for row in rows) >= 5
