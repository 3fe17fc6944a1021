import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint, hash_file
from seedbed.predict.contract import Estimate, Variable
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.ledger import START, append, check, read, register
from seedbed.predict.outcomes import matching, score, score_table
from seedbed.predict.standing import standing, table

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Foretold:
    """A law that says 3 +- 2 sd of a normal sample, for any number of params."""

    sd: float = 0.03
    has_sample: bool = True
    level: float = 0.95
    answer: str = "loss"
    variables: tuple[Variable, ...] = (Variable("params"), Variable("tokens"))

    def forecast(self, plan):
        return Estimate(3.0, 3.0 - 1.96 * self.sd, 3.0 + 1.96 * self.sd)

    def sample(self, plan):
        drawn = 3.0 + self.sd * np.random.default_rng(0).standard_normal(4000)
        return drawn if self.has_sample else np.zeros(0)

    def outside(self, plan):
        return dict.fromkeys(plan, 2.0)

    def to_json(self):
        return {"runs": {"params": [1e6, 2e6], "tokens": [1e8, 2e8]}}


@pytest.fixture
def fit_file(tmp_path):
    file = tmp_path / "fit.json"
    file.write_text(json.dumps({"law": "predict.laws.chinchilla", "version": 1, "data_hash": "d" * 32}))
    return file


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "deep" / "ledger.jsonl"


@pytest.fixture
def add(ledger, fit_file):
    def one(params=1e7, at=T0, law=None, **more):
        plan = {"params": params, "tokens": 1e9}
        return register(ledger, law or Foretold(), plan, fit_file=fit_file, made_at=at, **more)

    return one


def rewrite(ledger, change):
    lines = ledger.read_text().splitlines()
    ledger.write_text("".join(line + "\n" for line in change(lines)))


def test_a_forecast_of_a_real_law_is_written_whole(tmp_path):
    N, D = (grid.ravel() for grid in np.meshgrid([1e6, 3e6, 1e7], [2e7, 6e7, 2e8]))
    loss = (2 + 300 / N**0.35 + 400 / D**0.35) * np.exp(0.003 * np.random.default_rng(0).standard_normal(9))
    data = tmp_path / "runs.csv"
    data.write_text("\n".join(["params,tokens,loss", *(f"{n},{d},{x}" for n, d, x in zip(N, D, loss, strict=True))]))
    fitted = Chinchilla(n_bootstrap=40).fit(arrow.table({"params": N, "tokens": D, "loss": loss}))
    file = tmp_path / "fit.json"
    file.write_text(json.dumps({**fitted.to_json(), "data_hash": hash_file(data)}))
    plan = {"params": 3e7, "tokens": 6e8}
    made = register(tmp_path / "l.jsonl", fitted, plan, fit_file=file, data_file=data, made_at=T0, note="n", commit="c")
    expected = fitted.forecast(plan)
    assert (made["value"], made["low"], made["high"], made["level"]) == (*expected, 0.95)
    assert (made["law"], made["version"]) == (fitted.law.path(), fitted.law.version)
    assert (made["fit_hash"], made["data_hash"], made["plan"]) == (hash_file(file), hash_file(data), plan)
    assert (made["note"], made["commit"], made["time"]) == ("n", "c", "2026-03-01T12:00:00.000000+00:00")
    assert made["outside"] == pytest.approx({"params": 3.0, "tokens": 3.0})
    assert made["software"]
    sample = fitted.sample(plan)
    assert len(made["quantiles"]) == 101
    assert (made["quantiles"][0], made["quantiles"][100]) == (sample.min(), sample.max())
    assert made["quantiles"][50] == pytest.approx(np.median(sample))
    assert read(tmp_path / "l.jsonl") == [made]
    with pytest.raises(SeedbedError, match="registered already"):
        register(tmp_path / "l.jsonl", fitted, plan, fit_file=file, made_at=T0)
    with pytest.raises(SeedbedError, match=r"fitted on \(run 5 of the fit\)"):
        register(tmp_path / "l.jsonl", fitted, {"params": 3e6, "tokens": 6e7}, fit_file=file, made_at=T0)
    with pytest.raises(SeedbedError, match="times beyond the runs"):
        register(tmp_path / "l.jsonl", fitted, {"params": 3e9, "tokens": 6e8}, fit_file=file, made_at=T0)
    data.write_text("params,tokens,loss\n1,1,1\n")
    with pytest.raises(SeedbedError, match="not the one this was fitted to"):
        register(tmp_path / "l.jsonl", fitted, {"params": 4e7, "tokens": 6e8}, fit_file=file, data_file=data)


def test_a_law_that_stores_no_runs_is_held_to_the_table_it_is_given(ledger, fit_file):
    seen = arrow.table({"params": [5e6, 1e7], "tokens": [1e9, 1e9]})
    with pytest.raises(SeedbedError, match="run 2 of the fit"):
        register(ledger, Foretold(), {"params": 1e7, "tokens": 1e9}, fit_file=fit_file, runs=seen, made_at=T0)
    assert register(ledger, Foretold(), {"params": 1.1e7, "tokens": 1e9}, fit_file=fit_file, runs=seen, made_at=T0)


def test_the_chain_is_a_hash_of_each_line_and_of_the_one_before(add, ledger):
    first, second = add(1e7), add(2e7)
    assert (first["before"], second["before"]) == (START, first["hash"])
    assert second["hash"] == fingerprint({name: value for name, value in second.items() if name != "hash"})
    assert check(ledger) == check(ledger, head=str(first["hash"]))
    assert check(ledger).lines == 2
    assert check(ledger).head == second["hash"]
    assert check(ledger).faults == ()


def edited(lines):
    return [lines[0], lines[1].replace('"value":3.0', '"value":3.1'), *lines[2:]]


def rehashed(lines):
    line = json.loads(lines[1])
    line["value"] = 3.1
    line["hash"] = fingerprint({name: value for name, value in line.items() if name != "hash"})
    return [lines[0], json.dumps(line), *lines[2:]]


def rewritten(lines):
    """From the second line on, as somebody would who knows how it is made."""
    made, before = [], json.loads(lines[0])["hash"]
    for text in lines[1:]:
        line = {**json.loads(text), "value": 3.1, "before": before}
        line["hash"] = before = fingerprint({name: value for name, value in line.items() if name != "hash"})
        made.append(json.dumps(line))
    return [lines[0], *made]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edited, "line 2 was edited"),
        (rehashed, "line 3 does not follow from line 2"),
        (rewritten, "line 4 is another one than was written there"),
        (lambda x: [x[0], *x[2:]], "line 2 was removed"),
        (lambda x: x[1:], "line 1 was removed"),
        (lambda x: x[:3], "there are 3 lines and there were 4: the last ones were removed"),
        (lambda x: [], "there are 0 lines and there were 4"),
        (lambda x: [x[0], x[2], x[1], x[3]], "line 3 stands in the place of another"),
        (lambda x: [*x, x[3]], "line 4 stands there twice"),
        (lambda x: [*x[:2], "{", *x[3:]], "line 3 cannot be read"),
        (lambda x: [*x[:2], "[1]", *x[3:]], "line 3 cannot be read"),
        (lambda x: [*x[:3], x[3].replace('"line":4', '"line":999999999999')], "line 4 was removed"),
    ],
)
def test_a_ledger_that_was_changed_is_told_by_line_and_not_used(add, ledger, change, said):
    for params in (1e7, 2e7, 3e7, 4e7):
        add(params)
    rewrite(ledger, change)
    assert any(said in fault for fault in check(ledger).faults), check(ledger).faults
    with pytest.raises(SeedbedError, match="cannot be believed"):
        read(ledger)
    with pytest.raises(SeedbedError, match="cannot be believed"):
        add(5e7)


def test_a_rewritten_ledger_and_head_are_caught_by_a_hash_noted_elsewhere(add, ledger):
    noted = [add(params) for params in (1e7, 2e7)][-1]["hash"]
    rewrite(ledger, rewritten)
    last = json.loads(ledger.read_text().splitlines()[-1])
    (ledger.parent / "ledger.jsonl.head").write_text(json.dumps({"lines": 2, "hash": last["hash"]}))
    assert check(ledger).faults == ()
    assert "the ledger was rewritten" in check(ledger, head=noted).faults[0]


def test_without_the_head_it_is_said_what_cannot_be_seen(add, ledger):
    add()
    (ledger.parent / "ledger.jsonl.head").unlink()
    assert check(ledger).faults == ()
    assert "cannot be seen" in check(ledger).notes[0]


def test_a_torn_last_line_counts_for_nothing_and_is_healed(add, ledger):
    first = add(1e7)
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + whole[: len(whole) // 2])
    assert read(ledger) == [first]
    assert "has no end" in check(ledger).notes[0]
    second = add(2e7)
    assert read(ledger) == [first, second]
    assert check(ledger).notes == ()
    # a process that was stopped after the line and before the head
    (ledger.parent / "ledger.jsonl.head").write_text(json.dumps({"lines": 1, "hash": first["hash"]}))
    assert check(ledger).faults == ()
    third = add(3e7)
    assert read(ledger) == [first, second, third]
    # a line that was confirmed is never taken for a torn one
    ledger.write_bytes(ledger.read_bytes()[:-1])
    with pytest.raises(SeedbedError, match="there are 2 lines and there were 3"):
        add(4e7)


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from seedbed.predict.ledger import append
for i in range(12):
    append(Path(sys.argv[1]), lambda _: [{"kind": "forecast", "by": sys.argv[2], "i": i, "pad": "x" * 3000}])
"""


def test_writers_at_the_same_time_neither_tear_nor_lose_lines(ledger):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(ledger), str(k)]) for k in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    lines = read(ledger)
    assert [line["line"] for line in lines] == list(range(1, 37))
    assert sorted((line["by"], line["i"]) for line in lines) == sorted((str(k), i) for k in range(3) for i in range(12))
    for k in range(3):
        assert [line["i"] for line in lines if line["by"] == str(k)] == list(range(12))


def test_a_line_is_not_dated_before_the_one_above(add):
    add(1e7, T0)
    add(2e7, T0 - timedelta(minutes=1))  # two clocks
    with pytest.raises(SeedbedError, match="not written backwards"):
        add(3e7, T0 - DAY)
    with pytest.raises(SeedbedError, match="no time zone"):
        add(3e7, datetime(2027, 1, 1))


def test_a_fit_without_its_table_or_without_text_is_refused(ledger, tmp_path):
    file = tmp_path / "fit.json"
    for text, said in (("{}", "which table of runs"), ("no", "cannot be read")):
        file.write_text(text)
        with pytest.raises(SeedbedError, match=said):
            register(ledger, Foretold(), {"params": 1e7, "tokens": 1e9}, fit_file=file)


def test_an_outcome_is_worked_out_and_stands(add, ledger):
    forecast = add()
    seen = [3.02, 3.04, 3.09]
    made = score(ledger, str(forecast["id"])[:6], seen, began_at=T0 + DAY, made_at=T0 + 2 * DAY, note="three seeds")
    assert made["mean"] == pytest.approx(3.05)
    assert made["error"] == pytest.approx(-0.05 / 3.05)
    assert made["inside"] is True
    assert made["inside_share"] == pytest.approx(2 / 3)
    assert made["seed_noise"] == pytest.approx(np.std(seen, ddof=1) / 3.05)
    assert made["prospective"] is True
    # Gneiting and Raftery 2007: the CRPS of a normal forecast; the mean over the seeds
    sd, z = 0.03, (np.array(seen) - 3) / 0.03
    cdf = np.array([0.747507, 0.908789, 0.998650])
    pdf = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    assert made["crps"] == pytest.approx(np.mean(sd * (z * (2 * cdf - 1) + 2 * pdf - np.pi**-0.5)), rel=0.03)
    assert made["crps_relative"] == pytest.approx(made["crps"] / 3.05)
    before = ledger.read_text()
    with pytest.raises(SeedbedError, match="was scored on"):
        score(ledger, str(forecast["id"]), [3.0], made_at=T0 + 3 * DAY)
    assert ledger.read_text() == before
    assert before.startswith(json.dumps(forecast, sort_keys=True, separators=(",", ":")))
    with pytest.raises(SeedbedError, match="no forecasts have an id"):
        score(ledger, "zz", [3.0])
    with pytest.raises(SeedbedError, match="no finite numbers"):
        score(ledger, str(add(2e7, T0 + 3 * DAY)["id"]), [float("nan")], made_at=T0 + 4 * DAY)


def test_an_outcome_that_came_before_its_forecast_is_marked(add, ledger):
    early, unknown, copied = add(1e7), add(2e7), add(3e7)
    later = T0 + 2 * DAY
    assert score(ledger, str(early["id"]), [3.0], began_at=T0 - DAY, made_at=later)["prospective"] is False
    assert score(ledger, str(unknown["id"]), [3.0], made_at=later)["prospective"] is None
    score(ledger, str(copied["id"]), [3.0], began_at=T0 + DAY, made_at=later)
    row = standing(ledger)[0]
    assert (row.registered, row.scored, row.not_prospective, row.unproven, row.runs) == (3, 3, 1, 1, 2)


def test_a_forecast_of_a_run_whose_outcome_stands_in_the_ledger_is_not_prospective(add, ledger, fit_file):
    first = add(1e7)
    score(ledger, str(first["id"]), [3.0], began_at=T0 + DAY, made_at=T0 + 2 * DAY)
    fit_file.write_text(fit_file.read_text() + " ")  # another fit
    second = add(1e7, T0 + 3 * DAY)
    made = score(ledger, str(second["id"]), [3.0], began_at=T0 + 4 * DAY, made_at=T0 + 5 * DAY)
    assert made["prospective"] is False


def test_a_table_scores_every_open_forecast_it_has_runs_of(add, ledger):
    one, two, three, four = (add(params) for params in (1e7, 2e7, 3e7, 4e7))
    score(ledger, str(four["id"]), [3.0], made_at=T0 + DAY)
    rows = {
        "params": [1e7, 1e7, 2e7, 2e7, 4e7, 1.02e7],
        "tokens": [1e9 * (1 + 1e-9), 1.01e9, 1.01e9, 0.99e9, 1e9, 1e9],
        "loss": [3.1, 9.0, 3.0, 2.9, 3.0, None],
        "began_at": ["2026-03-02T12:00:00+00:00", "", "2026-02-28T12:00:00+00:00", "", "", ""],
    }
    done = score_table(ledger, arrow.table(rows), made_at=T0 + 2 * DAY)
    assert [line["forecast"] for line in done.lines] == [one["id"], two["id"]]
    assert [line["observed"] for line in done.lines] == [[3.1], [3.0, 2.9]]  # exact rows go before near ones
    assert [line["prospective"] for line in done.lines] == [True, False]
    assert [line["id"] for line in done.unmatched] == [three["id"]]
    again = score_table(ledger, arrow.table(rows), made_at=T0 + 3 * DAY)
    assert again.lines == []
    assert matching(read(ledger), {"params": 3e7, "tokens": 1.019e9}) == [three]
    assert matching(read(ledger), {"params": 3.03e7, "tokens": 1e9}) == []
    strict = score_table(ledger, arrow.table({"params": [3e7], "tokens": [1.01e9], "loss": [3.0]}), tolerance={})
    assert strict.lines == []
    with pytest.raises(SeedbedError, match="row 1, column 'loss'"):
        score_table(ledger, arrow.table({"params": [3e7], "tokens": [1e9], "loss": [float("nan")]}))
    with pytest.raises(SeedbedError, match="row 1, column 'began_at'"):
        score_table(ledger, arrow.table({"params": [3e7], "tokens": [1e9], "loss": [3.0], "began_at": ["soon"]}))
    assert score_table(ledger, arrow.table({"params": [3e7], "tokens": [1e9], "bpb": [3.0]})).lines == []


def fill(ledger, add, observed):
    for i, value in enumerate(observed):
        forecast = add(1e7 * (i + 1), T0)
        score(ledger, str(forecast["id"]), [value], began_at=T0, made_at=T0)


@pytest.mark.parametrize(
    ("inside", "missed", "verdict"),
    [
        (3, 0, "3 scored: too few to say"),
        (9, 0, "9 scored: too few to say"),
        (26, 2, "covers 93% of 28 at a stated 95%: as stated"),
        (12, 8, "covers 60% of 20 at a stated 95%: do not believe its intervals"),
        (1, 3, "covers 25% of 4 at a stated 95%: do not believe its intervals"),
        (80, 0, "covers 100% of 80 at a stated 95%: its intervals are wider than they need be"),
    ],
)
def test_standing_says_what_was_earned(ledger, inside, missed, verdict):
    entries = []
    for i in range(inside + missed):
        seen = 3.03 if i < inside else 3.2
        plan = {"params": 1e7 * (i + 1), "tokens": 1e9}
        told = {"law": "a.b.chinchilla", "answer": "loss", "plan": plan, "value": 3.0, "level": 0.95, "x": i}
        entries.append({"kind": "forecast", **told})
        numbers = {"error": (3 - seen) / seen, "inside": i < inside, "inside_share": float(i < inside)}
        rest = {"crps_relative": 0.01, "seed_noise": None, "prospective": True, "observed": [seen]}
        entries.append({"kind": "outcome", "forecast": "", **numbers, **rest})
    lines = append(ledger, lambda _: entries[::2], T0)
    append(ledger, lambda _: [{**o, "forecast": f["id"]} for o, f in zip(entries[1::2], lines, strict=True)], T0)
    (row,) = standing(ledger)
    assert row.verdict == verdict
    assert row.coverage == pytest.approx(inside / (inside + missed))
    assert row.coverage_low <= row.coverage <= row.coverage_high
    assert row.bias < 0
    assert json.loads(json.dumps(row.to_json()))["runs"] == inside + missed
    header, rows = table([row])
    assert len(header) == len(rows[0])
    assert rows[0][0] == "chinchilla"
    assert rows[0][-1] == verdict


def test_forecasts_of_one_run_count_once(add, ledger, fit_file):
    for i in range(12):
        fit_file.write_text(json.dumps({"law": "predict.laws.chinchilla", "data_hash": "d", "again": i}))
        add(1e7)
    done = score_table(ledger, arrow.table({"params": [1e7], "tokens": [1e9], "loss": [3.01]}), made_at=T0)
    assert len(done.lines) == 12
    (row,) = standing(ledger)
    assert (row.scored, row.runs) == (12, 1)
    assert row.verdict == "1 scored: too few to say"


def test_laws_stand_apart_and_may_have_no_interval(add, ledger, fit_file):
    fill(ledger, add, [3.03, 2.97])
    fit_file.write_text(json.dumps({"law": "predict.laws.kaplan", "data_hash": "d"}))
    score(ledger, str(add(5e7, T0, Foretold(has_sample=False))["id"]), [3.3], began_at=T0, made_at=T0)
    add(9e9, T0, Foretold(answer="bits"))
    rows = standing(ledger)
    assert [(row.law, row.answer) for row in rows] == [
        ("predict.laws.chinchilla", "loss"),
        ("predict.laws.kaplan", "bits"),
        ("predict.laws.kaplan", "loss"),
    ]
    assert rows[0].error_median == pytest.approx(0.01, rel=0.02)
    assert "nothing is earned" in rows[1].verdict
    assert rows[2].coverage is None
    assert rows[2].crps == pytest.approx(0.3 / 3.3)
    assert "only the errors" in rows[2].verdict
    assert len(table(rows)[1]) == 3
    assert standing(ledger.with_name("none.jsonl")) == []
