import pyarrow as pa
import pytest

from seedbed.core.errors import RecipeError
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.survivors.best_signal import BestSignal
from seedbed.curate.survivors.longest import Longest
from seedbed.curate.survivors.newest import Newest
from seedbed.curate.survivors.preferred_hosts import PreferredHosts


def worth(method, **columns):
    return method.worth(pa.table(columns)).tolist()


def test_longest_and_best_signal():
    sizes = {"size.n_bytes": pa.array([3, 10, 10], pa.int64())}
    assert worth(Longest(), **sizes) == [3, 10, 10]
    assert worth(BestSignal("size.n_bytes", prefer="lowest"), **sizes) == [-3, -10, -10]


def test_newest_counts_no_date_as_oldest():
    dates = ["2024-05-01T10:00:00Z", "", "2023-12-31", "2024-05-01", "2024-05-01T10:00:00Z"]
    found = worth(Newest(), date=pa.array(dates, pa.large_string()))
    assert found[1] == -1 == min(found)
    assert found[1] < found[2] < found[3] < found[0] == found[4]


def test_preferred_hosts():
    urls = [
        "https://mirror.net/example.org/a",
        "http://docs.Example.org:81/a",
        "https://www.example.org?x",
        "https://first.net/a",
        "https://user:a@first.net",
        "https://badexample.org/",
        "",
        "no url",
    ]
    method = PreferredHosts(hosts=("first.net", "www.example.org"))
    assert worth(method, url=pa.array(urls, pa.large_string())) == [0, 1, 1, 2, 2, 0, 0, 0]


def plan(*survivors):
    return CuratePlan((Jsonl(),), AllText(), (Size(), Language()), survivors=survivors)


def test_a_policy_that_looks_at_what_is_not_measured_is_refused():
    assert plan(BestSignal("language.language_score"), Newest(), Longest()).survivors
    for signal in ("size.n_byte", "gopher_quality.n_words", "language.language"):
        with pytest.raises(RecipeError, match="no filter of this plan measures a number"):
            plan(BestSignal(signal))
    with pytest.raises(RecipeError, match="survivors"):
        CuratePlan((Jsonl(),), AllText(), survivors=(Longest(),))
