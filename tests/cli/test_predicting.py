"""The verbs of `seedbed predict`, from a table of runs to a scored forecast, as a shell gives them."""

import csv
import json
import sys

import numpy as np
import pytest

from seedbed import cli


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Runs a command in this process; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["seedbed", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err

    return run


def loss(n, d):
    return 1.8 + 480 / n**0.35 + 2000 / d**0.37


def write(file, rows):
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def runs(tmp_path):
    rng = np.random.default_rng(3)
    grid = [(n, d) for n in (2e7, 1e8, 5e8) for d in (4e8, 2e9, 1e10)]
    rows = [{"params": n, "tokens": d, "loss": loss(n, d) * np.exp(0.002 * rng.standard_normal())} for n, d in grid]
    file = tmp_path / "runs.csv"
    write(file, rows)
    return file


def test_fit_forecast_optimum(shell, runs, tmp_path):
    code, out, err = shell("fit", runs, "--out", "fit.json", "--bootstrap", 30, "--params-count", "total")
    assert code == 0, err
    assert "alpha" in out
    assert "starts that agree" in out
    assert "params of the runs" in out
    assert "it is not said which parameters" not in err
    stored = json.loads((tmp_path / "fit.json").read_text())
    assert stored["parameters"]["n_bootstrap"] == 30
    assert len(stored["data_hash"]) == 32
    code, out, _ = shell("forecast", "fit.json", "--params", "1.5e9", "--tokens", "30B", "--json")
    told = json.loads(out)
    assert told["value"] == pytest.approx(loss(1.5e9, 3e10), rel=0.02)
    assert told["low"] < told["value"] < told["high"]
    assert told["outside"] == pytest.approx({"params": 3.0, "tokens": 3.0})
    code, out, _ = shell("forecast", "fit.json", "--params", "1e8", "--tokens", "1e9")
    assert "Inside the range of the runs" in out
    code, out, err = shell("forecast", "fit.json", "--params", "7e9", "--tokens", "1.4e12")
    assert code == 1
    assert "times beyond the runs" in err
    code, out, err = shell("forecast", "fit.json", "--params", "7e9")
    assert code == 1
    assert "a forecast needs tokens" in err
    code, out, err = shell("optimum", "fit.json", "--flops", "1e20", "--json")
    best = json.loads(out)
    assert best["params"]["value"] * best["tokens"]["value"] * 6 == pytest.approx(1e20, rel=1e-6)
    assert best["params"]["low"] < best["params"]["value"] < best["params"]["high"]


def test_options_of_a_fit_reach_the_law(shell, runs):
    code, out, err = shell("fit", runs, "--bootstrap", 0, "--fix", "E=1.8", "--tie", "alpha=beta", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["coefficients"]["E"]["value"] == pytest.approx(1.8)
    assert told["coefficients"]["alpha"]["value"] == pytest.approx(told["coefficients"]["beta"]["value"])
    code, out, _ = shell("fit", runs, "--bootstrap", 0, "--drop-worst", 2, "--huber-delta", 0.01, "--json")
    told = json.loads(out)
    assert told["facts"]["runs"] == 7
    assert told["parameters"]["huber_delta"] == 0.01
    for arguments, said in (
        (("--fix", "Q=1"), "there is no coefficient 'Q'"),
        (("--fix", "E"), "is not NAME=VALUE"),
        (("--set", "huber_dleta=1"), "Did you mean 'huber_delta'"),
        (("--law", "chinchila"), "Did you mean"),
        (("--only", "domain=web"), "there is no column 'domain'"),
        (("--params-count", "some"), "params_count"),
    ):
        code, _, err = shell("fit", runs, "--bootstrap", 0, *arguments)
        assert code in (1, 2), arguments
        assert said in err, arguments


def test_a_page_of_the_fit(shell, runs, tmp_path):
    code, _, err = shell("fit", runs, "--bootstrap", 10, "--page", "fit.html")
    assert code == 0, err
    page = (tmp_path / "fit.html").read_text()
    assert "Equal compute" in page
    assert "<script" not in page
    code, _, err = shell("fit", runs, "--bootstrap", 0, "--out", "no/such/fit.json")
    assert code == 1
    assert "no/such/fit.json" in err


def test_a_forecast_is_written_down_then_scored(shell, runs, tmp_path):
    shell("fit", runs, "--out", "fit.json", "--bootstrap", 30)
    code, out, err = shell("register", "fit.json", "--params", "1e9", "--tokens", "2e10", "--runs", runs, "--json")
    assert code == 0, err
    entry = json.loads(out)
    code, _, err = shell("register", "fit.json", "--params", "1e8", "--tokens", "2e9")
    assert code == 1, "a run of the table is no forecast"
    write(
        tmp_path / "came.csv", [{"params": 1e9, "tokens": 2.01e10, "loss": loss(1e9, 2e10), "seed": s} for s in (1, 2)]
    )
    code, out, err = shell("score", "--runs", "came.csv", "--json")
    assert code == 0, err
    (outcome,) = json.loads(out)
    assert outcome["forecast"] == entry["id"]
    assert abs(outcome["error"]) < 0.02
    assert outcome["inside"] is True
    code, _, err = shell("score", entry["id"], "--observed", 2.5)
    assert code == 1, "scored once"
    code, out, _ = shell("ledger", "--json")
    told = json.loads(out)
    assert told["faults"] == []
    assert told["laws"][0]["scored"] == 1
    book = tmp_path / "forecasts.jsonl"
    book.write_text(book.read_text().replace(f'"value":{entry["value"]}', '"value":2.0', 1))
    code, _, err = shell("ledger")
    assert code == 1
    assert "line 1" in err
    assert shell("score")[0] == 2


def test_a_ladder_is_planned(shell):
    code, out, err = shell(
        "plan", "--params", "1e9", "--tokens", "2e10", "--flops", "2e18", "--flops-per-second", "1e13"
    )
    assert code == 0, err
    assert "repeats" in out
    assert "expected interval at the target" in out.lower()
    assert shell("plan", "--params", "1e9", "--tokens", "2e10")[0] != 0


def test_hyperparameters_are_the_published_law_s_unless_a_fit_is_given(shell):
    code, out, err = shell("hyperparameters", "--params", "1e9", "--tokens", "1e11", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["learning_rate"]["value"] == pytest.approx(1.66e-3, rel=0.03)
    assert told["batch_tokens"]["value"] == pytest.approx(1.107e6, rel=0.01)
    assert err == ""
    code, out, err = shell("hyperparameters", "--params", "1e6", "--tokens", "1e7")
    assert "outside of the runs it was fitted on" in err
    assert "held at" in err


def test_the_mixture_of_a_fit(shell, tmp_path):
    rng = np.random.default_rng(0)
    rows = [{"share_web": r, "share_code": 1 - r, "loss": 2 + np.exp(-2 * r) + 0.6 * np.exp(-1.5 * (1 - r))}
            for r in rng.uniform(0.02, 0.98, 24)]  # fmt: skip
    write(tmp_path / "mix.csv", rows)
    code, _, err = shell("fit", "mix.csv", "--law", "data_mixing_law", "--out", "mix.json", "--bootstrap", 10)
    assert code == 0, err
    code, out, err = shell("mixture", "mix.json", "--cap", "share_web=0.25", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["share_web"]["value"] <= 0.25 + 1e-9
    assert found["share_web"]["value"] + found["share_code"]["value"] == pytest.approx(1)
    code, _, err = shell("optimum", "mix.json", "--flops", "1e20")
    assert code == 1
    assert "params and tokens" in err or "does not divide compute" in err


def test_a_mixture_beyond_the_runs_is_warned_about(shell, tmp_path):
    rng = np.random.default_rng(1)
    share_RD = rng.dirichlet([2.0, 2.0], 12)
    rows = [{"share_web": w, "share_code": c, "loss": 2 + np.exp(0.1 - 1.2 * w - 0.3 * c)} for w, c in share_RD]
    write(tmp_path / "mix.csv", rows)
    assert shell("fit", "mix.csv", "--law", "data_mixing_law", "--bootstrap", 0, "--out", "mix.json")[0] == 0
    code, out, err = shell("mixture", "mix.json", "--json")
    assert code == 0
    assert json.loads(out)["share_web"]["value"] == pytest.approx(1.0)
    assert "share_web 1 lies beyond the runs" in err
    assert "--cap" in err
    assert shell("mixture", "mix.json", "--cap", "share_web=0.5")[2] == ""


def test_repeats_are_asked_for_by_distinct_tokens(shell, tmp_path):
    grid = [(n, d, u) for n in (1e8, 4e8, 1.5e9) for d in (1e9, 4e9, 1.6e10) for u in (1.0, 0.25)]
    rows = [
        {"params": n, "tokens": d, "unique_tokens": d * u, "loss": loss(n, d) * (1.01 if u < 1 else 1)}
        for n, d, u in grid
    ]
    write(tmp_path / "runs.csv", rows)
    code, _, err = shell("fit", "runs.csv", "--law", "data_constrained", "--bootstrap", 0, "--out", "fit.json")
    assert code == 0, err
    asked = ("forecast", "fit.json", "--params", "1e9", "--tokens", "1e10")
    code, out, err = shell(*asked, "--at", "unique_tokens=5e9", "--json")
    assert code == 0, err
    assert json.loads(out)["outside"] == {}
    code, _, err = shell(*asked)
    assert code == 1
    assert "epochs (or unique_tokens)" in err
    code, _, err = shell(*asked, "--at", "unique_tokens=5e8")
    assert code == 1
    assert "20 epochs are beyond 16" in err


def test_headers_are_read_without_spaces_and_must_differ(shell, runs, tmp_path):
    spaced = runs.read_text().replace("params,tokens,loss", "params, tokens, loss")
    (tmp_path / "spaced.csv").write_text(spaced)
    assert shell("fit", "spaced.csv", "--bootstrap", 0)[0] == 0
    (tmp_path / "twice.csv").write_text(spaced.replace(" tokens", "params"))
    code, _, err = shell("fit", "twice.csv", "--bootstrap", 0)
    assert code == 1
    assert "several columns 'params'" in err


def test_a_fit_of_another_version_is_not_read(shell, runs, tmp_path):
    shell("fit", runs, "--bootstrap", 0, "--out", "fit.json")
    stored = json.loads((tmp_path / "fit.json").read_text())
    (tmp_path / "fit.json").write_text(json.dumps({**stored, "version": 99}))
    code, _, err = shell("forecast", "fit.json", "--params", "1e8", "--tokens", "1e9")
    assert code == 1
    assert "version 99" in err
    assert "Fit it again" in err
