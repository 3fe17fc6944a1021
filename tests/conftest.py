"""What tests share: how many examples a property gets, a small folder of real text in every format, quiet threads."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from seedbed import sample

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

EXAMPLES = 100
"""Of a property that does not say how many, under the profile `ci`."""

# A busy machine is no reason to fail: neither profile looks at the clock.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", _patient, derandomize=True, database=None, max_examples=EXAMPLES)
settings.register_profile("fuzz", _patient, derandomize=False, max_examples=10 * EXAMPLES)
settings.load_profile("ci")  # unless the command says --hypothesis-profile=fuzz


def examples(usual: int) -> settings:
    """Decorates a property: how many examples it usually gets, and in proportion more under the profile `fuzz`."""
    return settings(max_examples=usual * settings.default.max_examples // EXAMPLES)


def pytest_sessionstart() -> None:
    """The same examples in every process: Hypothesis mixes in constants of the modules loaded so far, if not held."""
    if settings.default.derandomize:
        providers._get_local_constants = providers.Constants


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, whatever the order: side by side, none is begun when all others have ended."""
    long = ("test_ray.py", "test_pipeline.py", "test_run.py", "test_store.py", "test_cli.py", "test_training.py")
    long += ("test_guide.py", "test_distributed.py", "test_train_folder.py", "test_train.py", "test_ecosystem.py")
    items.sort(key=lambda item: item.path.name not in long)


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """Training sets the processor to round them to zero; the next test may need them."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def sample_texts(name: str = "target_eval.jsonl.gz") -> list[dict[str, str]]:
    """Documents of a shipped held-out file."""
    with gzip.open(sample.target_select().parent / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def warc_record(number: int, content_type: str, body: str) -> bytes:
    """One response record, by the letter of the WARC standard (ISO 28500)."""
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n{body}".encode()
    fields = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:uuid:00000000-0000-0000-0000-{number:012d}>",
        "WARC-Date": "2026-01-01T00:00:00Z",
        "WARC-Target-URI": f"https://a.example/{number}",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(http)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"WARC/1.0\r\n{head}\r\n".encode() + http + b"\r\n\r\n"


def write_corpus(folder: Path) -> dict[str, int]:
    """Files of every kind with known contents; gives the number of records of each kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    texts = sample_texts()
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts[:12]))
    broken = ["{broken", '["a list"]', '{"no": "text"}']
    lines = [json.dumps(row) for row in texts[8:20]]  # four are in a.jsonl too, word for word
    with gzip.open(folder / "b.jsonl.gz", "wt") as out:
        out.write("\n".join([*lines[:6], *broken, *lines[6:]]) + "\n")
    paragraphs = "".join(f"<p>{part}</p>" for part in texts[20]["text"].split("\n") if part)
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "sub" / "c.html").write_text(f"<html><body><main>{paragraphs}</main></body></html>")
    (folder / "d.txt").write_text("Zu kurz und auf Deutsch.")
    pq.write_table(pa.table({"text": [row["text"] for row in texts[21:25]]}), folder / "e.parquet")
    records: list[bytes] = []
    for i, kind in enumerate(["text/html", "TEXT/HTML; charset=utf-8", "image/png"]):
        last = f"<p>This is page number {i} of the handbook, and it ends here.</p>"
        records.append(warc_record(i, kind, f"<html><body><main>{paragraphs}{last}</main></body></html>"))
    (folder / "f.warc.gz").write_bytes(b"".join(gzip.compress(record, mtime=0) for record in records))
    (folder / "ignored.css").write_text("p {}")
    return {"read": 12 + 15 + 1 + 1 + 4 + 3, "errored": 3, "not_text": 1}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder written by `write_corpus`."""
    folder = tmp_path_factory.mktemp("corpus") / "in"
    write_corpus(folder)
    return folder
