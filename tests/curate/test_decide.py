"""Verdicts: duplicates settled against plain Python, and a fast replay that says what a slow one says."""

import dataclasses
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.artifact import Store
from seedbed.curate import replay as replaying
from seedbed.curate.decide import Members, Preference, settle
from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.url import Url
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.replay import replay
from seedbed.curate.run import curate
from seedbed.curate.survivors.longest import Longest
from seedbed.curate.survivors.newest import Newest
from seedbed.curate.survivors.preferred_hosts import PreferredHosts
from seedbed.engine.local import LocalEngine
from tests.conftest import examples


@st.composite
def cases(draw):
    n = draw(st.integers(0, 9))

    def column(kind):
        return draw(st.lists(kind, min_size=n, max_size=n))

    groups = [
        [min(j for j in range(n) if names[j] == names[i]) for i in range(n)]
        for names in (column(st.integers(0, 3)), column(st.integers(0, 3)))
    ]
    broken = np.array(column(st.tuples(st.booleans(), st.booleans())), np.bool_).reshape(n, 2) & np.array(
        column(st.booleans()), np.bool_
    ).reshape(n, 1)
    return (
        groups,
        broken,
        column(st.booleans()),
        column(st.integers(0, 2)),
        column(st.integers(0, 2)),
        column(st.booleans()),
    )


def plainly(groups, broken, errored, first, second, published):
    """(kept, reason, survivor) document by document."""
    n = len(errored)
    alive = [not broken[i].any() and not errored[i] for i in range(n)]
    reasons = ["" if errored[i] else "ab"[int(broken[i].argmax())] if broken[i].any() else "" for i in range(n)]
    survivor = [-1] * n
    for name, group in zip("xy", groups, strict=True):
        for g in set(group):
            rows = [i for i in range(n) if group[i] == g and alive[i]]
            if sum(member == g for member in group) < 2 or not rows:
                continue
            best = min(rows, key=lambda i: (not published[i], -first[i], -second[i], 100 - i))
            for i in rows:
                survivor[i] = i if published[i] else best
                if i != best and not published[i]:
                    alive[i], reasons[i] = False, f"{name}.duplicate"
    return alive, reasons, survivor


@examples(200)
@given(cases())
def test_settling_is_what_it_says(case):
    groups, broken, errored, first, second, published = case
    n = len(errored)
    members = [Members.of(name, np.array(group, np.int64)) for name, group in zip("xy", groups, strict=True)]
    rows = np.unique(np.concatenate([m.row_M for m in members]))
    worth = [np.array(column, np.float64)[rows] for column in (first, second)]
    keys = (100 - np.arange(n)).astype(np.uint64)
    preference = Preference.of(rows, worth, keys[rows], np.array(published, np.bool_)[rows])
    found = settle(("a", "b"), broken, np.array(errored, np.bool_), members, preference)
    alive, reasons, survivor = plainly(groups, broken, errored, first, second, published)
    assert found.kept_N.tolist() == alive
    assert found.reasons().to_pylist() == reasons
    assert found.survivor_N.tolist() == survivor
    assert found.dropped() == {name: reasons.count(name) for name in found.reason_names if name in reasons}
    table = found.table(np.zeros((n, 16), np.uint8), 0, n)
    assert table.column("failures").to_pylist() == [[r for r, b in zip("ab", row, strict=True) if b] for row in broken]


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        (folder / f"{i:03d}.jsonl").write_text(json.dumps(row) + "\n")


def plan(**changes):
    steps = (
        Size(),
        GopherQuality(min_words=3, min_stop_words=None, min_average_word_length=None),
        Url(),
        Exact(ignore_case=True),
    )
    return dataclasses.replace(CuratePlan((Jsonl(),), AllText(), steps, (Longest(),), shard_bytes=400), **changes)


ROWS = [
    {"text": "The tide came in over the flat", "url": "http://a.org/1", "date": "2020-01-01"},
    {"text": "the tide came in over the flat", "url": "http://b.org/1", "date": "2024-01-01"},
    {"text": "The tide came in over the flat and went out", "url": "http://b.org/1?utm_source=x", "date": "2022-01-01"},
    {"text": "Two words", "url": "http://c.org/"},
    {"text": "Another text about the harbour", "url": "http://c.org/2"},
    {"text": "ANOTHER text about the harbour", "url": "http://d.org/2"},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decide")
    write(folder / "in", ROWS)
    return curate(plan(), [folder / "in"], Store(folder / "out"), LocalEngine(1))


def kept(verdicts):
    return np.flatnonzero(verdicts.kept_N).tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"survivors": ()},
        {"survivors": (Newest(), Longest())},
        {"survivors": (PreferredHosts(("d.org", "a.org")),)},
        {
            "steps": (
                Size(),
                GopherQuality(min_words=6, min_stop_words=None, min_average_word_length=None),
                *plan().steps[2:],
            )
        },
        {"steps": (Size(min_bytes=31), *plan().steps[1:])},
    ],
)
def test_a_replay_from_an_earlier_decision_says_the_same(done, changes):
    slow, fast = replay(plan(**changes), done), replay(plan(**changes), done, done.decisions)
    assert slow.rules == fast.rules
    for field in ("broken_NR", "errored_N", "group_N", "survivor_N", "duplicate_N"):
        assert (getattr(slow, field) == getattr(fast, field)).all(), field


def test_policies_choose_the_survivor(done):
    assert kept(replay(plan(), done)) in ([0, 2, 4], [0, 2, 5])
    assert kept(replay(plan(survivors=(Newest(),)), done))[0] == 1
    assert 5 in kept(replay(plan(survivors=(PreferredHosts(("d.org",)),)), done))


def test_a_replay_reads_only_the_filters_that_changed(done, monkeypatch):
    read = []
    real = arrow.read_parquet
    monkeypatch.setattr(
        replaying.arrow, "read_parquet", lambda file, columns=None: read.append(file.parent.name) or real(file, columns)
    )
    steps = (Size(min_bytes=31), *plan().steps[1:])
    replay(plan(steps=steps), done, done.decisions)
    folders = {name.rpartition("-")[0] for name in read}
    assert folders == {"decisions-all", "signals-size", "signals-url_groups", "signals-exact_groups"}


def test_what_was_published_does_not_vanish_for_what_came_later(tmp_path):
    survivors = (Newest(), Longest())
    write(tmp_path / "in", ROWS[:1] + ROWS[4:5])
    store, engine = Store(tmp_path / "out"), LocalEngine(1)
    old = curate(plan(survivors=survivors), [tmp_path / "in"], store, engine)
    assert old.ledger["kept"] == 2
    write(tmp_path / "in", [ROWS[0], ROWS[4], *ROWS[1:3], ROWS[5]])
    assert curate(plan(survivors=survivors), [tmp_path / "in"], store, engine).ledger["dropped"] != {}
    before = set(arrow.strings(old.kept.table(["id"]), "id"))
    vanishing = curate(plan(survivors=survivors), [tmp_path / "in"], store, engine)
    assert not before <= set(arrow.strings(vanishing.kept.table(["id"]), "id"))
    new = curate(plan(survivors=survivors), [tmp_path / "in"], store, engine, published=old.decisions)
    assert before <= set(arrow.strings(new.kept.table(["id"]), "id"))
    again = replay(plan(survivors=(Longest(),)), new, new.decisions)
    assert kept(again)[:2] == [0, 1]


def test_a_million_documents_are_settled_in_a_second():
    n, rng = 1_000_000, np.random.default_rng(0)
    group = np.arange(n)
    group[rng.integers(0, n, n // 3)] = 0
    group[0] = 0
    members = [Members.of(name, np.minimum(group, np.arange(n))) for name in "xy"]
    rows = np.unique(np.concatenate([m.row_M for m in members]))
    preference = Preference.of(
        rows,
        [rng.random(len(rows))],
        rng.integers(0, 2**63, len(rows)).astype(np.uint64),
        np.zeros(len(rows), np.bool_),
    )
    broken = np.asfortranarray(rng.random((n, 40)) < 0.01)
    start = time.process_time()
    found = settle(tuple(f"f.r{i}" for i in range(40)), broken, np.zeros(n, np.bool_), members, preference)
    counts = found.dropped()
    assert time.process_time() - start < 2
    assert sum(counts.values()) + int(found.kept_N.sum()) == n
