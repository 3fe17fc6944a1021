"""A small sample of real text: HTML pages as WARC files, and held-out text that is not among those pages.

The pages come from documentation packages of Debian main; `SOURCES.md` lists packages, licences and roles, and
`scripts/build_sample.py` rebuilds every file here byte for byte.

A page's domain (its subject) follows from its URL, `https://docs.example.org/<package>/<path>`: the first path segment
names the package, and each package belongs to one domain. `TARGET` is the domain the demo selects data for.
"""

from __future__ import annotations

from pathlib import Path

TARGET = "databases"
EVAL_DOMAINS = (TARGET, "society", "graphics", "debian")
DOMAINS: dict[str, str] = {
    "sqlite3-doc": "databases",
    "postgresql-doc-15": "databases",
    "anarchism": "society",
    "cfi-en": "society",
    "gimp-help-en": "graphics",
    "gimp-help-en-gb": "graphics",
    "png-definitive-guide": "graphics",
    "hugin-data": "graphics",
    "debian-handbook": "debian",
    "harden-doc": "debian",
    "installation-guide-amd64": "debian",
    "installation-guide-i386": "debian",
    "mh-book": "email",
    "grass-doc": "maps",
    "gnucash-docs": "accounting",
    "csound-doc": "audio",
    "git-doc": "versioning",
    "abs-guide": "shell",
    "libreoffice-help-en-us": "office",
    "octave-doc": "numerics",
}

_HERE = Path(__file__).parent


def pool() -> list[Path]:
    """The WARC files of the pool, in order."""
    return sorted(_HERE.glob("pool-*.warc.gz"))


def target_select() -> Path:
    """Text of the target domain that selection methods may look at."""
    return _HERE / "target_select.jsonl.gz"


def heldout() -> dict[str, Path]:
    """Evaluation files by domain, the target domain first."""
    names = {domain: f"eval_{domain}.jsonl.gz" for domain in EVAL_DOMAINS} | {TARGET: "target_eval.jsonl.gz"}
    return {domain: _HERE / names[domain] for domain in EVAL_DOMAINS}
