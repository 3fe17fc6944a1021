"""Golden hashes: what each text method gives for a fixed zoo of texts, at which version.

`make golden` renews golden.json. It refuses a method whose output changed while its `version`
did not: stored results are found by version, so a silent change would mix old and new ones.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from seedbed import catalogue
from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Deduper, Edit, Filter

GOLDEN = Path(__file__).with_name("golden.json")

PROSE = (
    "The tide tables of the harbour were printed every spring, and the pilots kept them in their coats. "
    "When the wind turned north the water stood a hand higher than the page said, and everyone knew it."
)
# Fixed for ever: a changed zoo changes every hash.
ZOO = (
    "",
    "x",
    " \n\t\n ",
    PROSE,
    PROSE,
    PROSE.upper(),
    PROSE + " They moved the boats before dark.",
    "\n\n".join([PROSE] * 4),
    "\n".join(f"- item {i}: see page {i * 7}..." for i in range(40)),
    "def area(r):\n    return 3.14159 * r ** 2  # {pi}\n\n\nprint(area(2))\n",
    "Lorem ipsum dolor sit amet. Please enable JavaScript. Terms of use, privacy policy, cookies.",
    "Read more >> Log in | Sign up | Share [1][2] #tag #tag #tag !!! ??? ... \u2026 \u2022 bullet",
    "Das Wetter bleibt im Norden kühl, östlich der Elbe fällt am Abend Regen; die Straße ist gesperrt.",
    "Я помню чудное мгновенье. Оно прошло.",
    "天气很好，我们去公园。明天可能会下雨。",
    "caf\u00e9 cafe\u0301 \ufb01ne \u212b \u00bd \u2460 \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "nul \0 inside, bell \x07, tab\there, line sep \u2028 para sep \u2029 nel \x85 nbsp \u00a0 end",
    "write to someone@example.com or call 192.0.2.7, see https://example.com/a?b=c#d and www.example.com",
    "word " * 600,
    "a" * 3000,
    "one two three four five six seven eight nine ten. " * 30,
)


def text_methods() -> list[str]:
    """Paths of all edits, filters and dedupers."""
    shelves = ("curate.edits", "curate.filters", "curate.dedup")
    return [path for shelf in shelves for path in catalogue.on_shelf(shelf)]


def plain(values: pa.Table) -> dict[str, list[str]]:
    """Columns as text; five digits of a float are enough to see a change and hide a platform's last bit."""
    columns: dict[str, list[Any]] = values.to_pydict()
    return {
        name: [format(value, ".5g") if isinstance(value, float) else str(value) for value in column]
        for name, column in columns.items()
    }


def output(method: Method) -> dict[str, Any]:
    """What a method gives for the zoo, as plain JSON."""
    documents = DocumentBatch.of(list(ZOO))
    if isinstance(method, Edit):
        return {"texts": method.edit(documents).texts.to_pylist()}
    if isinstance(method, Filter):
        signals = method.measure(documents)
        failures = {rule: broken.tolist() for rule, broken in method.failures(signals).items()}
        return {"signals": plain(signals), "failures": failures}
    assert isinstance(method, Deduper)
    signatures = method.signatures(documents)
    return {"signatures": plain(signatures), "groups": method.groups(signatures).tolist()}


def entry(path: str) -> dict[str, Any]:
    """Version and hash of a method at its defaults."""
    method = catalogue.load(path)()
    told = json.dumps([method.to_json(), output(method)], sort_keys=True)
    return {"version": method.version, "hash": hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]}


def load() -> dict[str, dict[str, Any]]:
    """The golden file as it stands."""
    return json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def main() -> int:
    """Renew the file; 1 where a version must be raised first."""
    old = load()
    new = {path: entry(path) for path in text_methods()}
    silent = [
        path for path in new if path in old and new[path] != old[path] and new[path]["version"] <= old[path]["version"]
    ]
    for path in silent:
        sys.stdout.write(f"{path}: its output changed. Raise `version` in its file and add a line to CHANGELOG.md.\n")
        new[path] = old[path]
    GOLDEN.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{GOLDEN.name}: {len(new)} methods\n")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
