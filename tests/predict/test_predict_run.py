import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict import run
from seedbed.predict.laws.chinchilla import Chinchilla

ROWS = ["params,tokens,loss,note"] + [
    f"{n},{d},{2 + 300 / n**0.3 + 900 / d**0.32},x" for n in (10**7, 10**8) for d in (10**8, 10**9, 10**10)
]


@pytest.fixture
def runs_csv(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("\n".join(ROWS) + "\n")
    return file


def test_csv_and_parquet_give_the_same_forecasts(runs_csv, tmp_path):
    arrow.write_parquet(tmp_path / "runs.parquet", run.read_runs(runs_csv))
    law = Chinchilla(n_bootstrap=5)
    plans = [{"params": 2e8, "tokens": 3e10}, {"params": 1e7, "tokens": 1e9}]
    first, second = (
        run.forecast(run.fit(law, run.read_runs(file)), plans) for file in (runs_csv, tmp_path / "runs.parquet")
    )
    assert first.equals(second)
    assert first.column_names == ["params", "tokens", "value", "low", "high", "level"]
    assert arrow.numpy(first, "params").tolist() == [2e8, 1e7]
    assert (arrow.numpy(first, "low") <= arrow.numpy(first, "value")).all()
    assert np.all(arrow.numpy(first, "level") == 0.95)


def test_files_that_cannot_be_read_are_named(tmp_path, runs_csv):
    with pytest.raises(SeedbedError, match="no such file"):
        run.read_runs(tmp_path / "none.csv")
    other = tmp_path / "runs.txt"
    other.write_text("x")
    with pytest.raises(SeedbedError, match=r"not '\.txt'"):
        run.read_runs(other)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    with pytest.raises(SeedbedError, match=r"broken\.parquet"):
        run.read_runs(broken)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(SeedbedError, match=r"empty\.csv"):
        run.read_runs(empty)
    empty.write_text("params,tokens,loss\n")
    with pytest.raises(SeedbedError, match="no rows"):
        run.read_runs(empty)
    runs_csv.write_text(runs_csv.read_text().replace("loss", "los", 1))
    with pytest.raises(SeedbedError, match=r"runs\.csv: there is no column 'loss'. Rename los to loss"):
        run.fit(Chinchilla(), run.read_runs(runs_csv), str(runs_csv))


def test_a_fit_error_names_the_file(runs_csv):
    runs_csv.write_text("\n".join(ROWS[:4]) + "\n")
    with pytest.raises(SeedbedError, match=r"runs\.csv: 3 runs cannot"):
        run.fit(Chinchilla(), run.read_runs(runs_csv), str(runs_csv))


def test_rows_are_chosen_by_a_column_and_numbers_by_their_value():
    rows = arrow.table({"domain": ["web", "code", "web"], "seed": [1, 1, 2], "loss": [3.0, 2.0, 3.1]})
    assert run.only(rows, ["domain=web"]).column("loss").to_pylist() == [3.0, 3.1]
    assert run.only(rows, ["domain=web", "seed=1.0"]).column("loss").to_pylist() == [3.0]
    assert run.only(rows, []) is rows
    for condition, said in (("domain", "COLUMN=VALUE"), ("domian=web", "Did you mean 'domain'"), ("seed=7", "no row")):
        with pytest.raises(SeedbedError, match=said):
            run.only(rows, [condition])


def test_a_law_of_other_parameters_reads_the_other_column():
    grid = [(n, d) for n in (1e7, 1e8, 1e9) for d in (1e8, 1e9, 1e10)]
    columns = {"params": [2 * n for n, _ in grid], "params_non_embedding": [n for n, _ in grid]}
    columns |= {"tokens": [d for _, d in grid], "loss": [2 + 300 / n**0.3 + 900 / d**0.32 for n, d in grid]}
    runs = arrow.table(columns)
    total, inner = (
        run.fit(Chinchilla(n_bootstrap=0, params_count=count), runs) for count in ("total", "non_embedding")
    )
    assert total.domain["params"] == (2e7, 2e9)
    assert inner.domain["params"] == (1e7, 1e9)
    assert total.forecast({"params": 6e8, "tokens": 3e9}).value == pytest.approx(
        inner.forecast({"params": 3e8, "tokens": 3e9}).value, rel=1e-6
    )
