import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import FORECAST
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
    law, plans = Chinchilla(n_bootstrap=5), [(2e8, 3e10), (1e7, 1e9)]
    first, second = (
        run.forecast(run.fit(law, run.read_runs(file)), plans) for file in (runs_csv, tmp_path / "runs.parquet")
    )
    assert first.equals(second)
    assert first.schema.equals(FORECAST)
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
    runs_csv.write_text(runs_csv.read_text().replace("loss", "los", 1))
    with pytest.raises(SeedbedError, match="Did you mean 'los'"):
        run.read_runs(runs_csv)


def test_a_fit_error_names_the_file(runs_csv):
    runs_csv.write_text("\n".join(ROWS[:4]) + "\n")
    with pytest.raises(SeedbedError, match=r"runs\.csv: 3 runs cannot"):
        run.fit(Chinchilla(), run.read_runs(runs_csv), str(runs_csv))
