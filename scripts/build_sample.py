"""Rebuild the shipped text sample, `src/seedbed/sample/`, from documentation packages of Debian main.

The demo needs web pages it may redistribute: real HTML with real menus, lists and mistakes, in several languages and
on several subjects, one of which (the target domain) is worth selecting for. Documentation packages have all of that
under free licences. This script downloads the pinned packages, unpacks them and writes

* `pool-NN.warc.gz`: pages as WARC response records, unmodified bytes, plus a few records that are no text;
* `target_select.jsonl.gz`, `target_eval.jsonl.gz`, `eval_<domain>.jsonl.gz`: extracted text that is not in the pool;
* `licenses.txt.gz` and `SOURCES.md`: where everything is from and under which terms.

Choices are made by hashing page names and nothing depends on the clock, so the same packages give the same bytes.
Held-out pages are set apart before the pool is filled. They are cut to `HELD_CHARS` characters, lose the lines that
many pages of their package share (menus, footers), must be prose, and are dropped when more than `MAX_OVERLAP` of
their 13-word sequences occur in the pool or in another held-out file.

    python scripts/build_sample.py WORKDIR [--out DIR]

It needs apt-get and dpkg-deb, the project's dependencies and warcio.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resiliparse.extract.html2text import extract_plain_text
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from seedbed.sample import DOMAINS, EVAL_DOMAINS, TARGET

HOST = "https://docs.example.org"
EPOCH = datetime(2024, 3, 1, tzinfo=UTC)
POOL_FILES = 5
PAGE_BYTES = (400, 400_000)  # smaller pages are frames or stubs, larger ones single-page duplicates of a book
HELD_CHARS = 8_000
MAX_OVERLAP = 0.2
SHARED_LINE = 0.05  # a line on more than this share of a package's pages is page furniture
NGRAM = 13
NAVIGATION = re.compile(r"^\s*Prev\b|\bHome\s*\t")  # header and footer of DocBook pages
OTHERS = {domain: f"eval_{domain}" for domain in EVAL_DOMAINS if domain != TARGET}
HELD_KB = {"target_select": 220, "target_eval": 280} | dict.fromkeys(OTHERS.values(), 105)
HELD_PERCENT = {"target_select": 12, "target_eval": 15} | dict.fromkeys(OTHERS.values(), 18)


@dataclass(frozen=True)
class Package:
    """The pinned version of a package and where it comes from."""

    version: str
    licence: str
    home: str


@dataclass(frozen=True)
class Part:
    """Pages of one package: those below `base` whose relative path matches `match`, up to `kilobytes` of HTML."""

    package: str
    base: str
    kilobytes: int
    match: str = ""
    language: str = "en"
    held: bool = False  # pages may go to the held-out files of the package's domain
    twin_of: str = ""  # a variant of that package: take only paths the pool has from it (near-duplicates)


@dataclass(frozen=True)
class Page:
    """An HTML file of a package."""

    part: Part
    path: str
    data: bytes

    @property
    def url(self) -> str:
        """The made-up address."""
        return f"{HOST}/{self.part.package}/{quote(self.path)}"

    @property
    def domain(self) -> str:
        """The subject of the package."""
        return DOMAINS[self.part.package]

    @cached_property
    def charset(self) -> str:
        """UTF-8 where the bytes allow it; the other pages of these packages are Latin-1."""
        try:
            self.data.decode("utf-8")
        except UnicodeDecodeError:
            return "ISO-8859-1"
        return "UTF-8"

    @cached_property
    def text(self) -> str:
        """The text that the demo extracts, too."""
        html = self.data.decode(self.charset)
        return extract_plain_text(html, main_content=True, alt_texts=False)


@dataclass(frozen=True)
class Record:
    """What goes into a WARC file."""

    kind: str
    url: str
    data: bytes
    content_type: str = ""
    status: str = "200 OK"
    location: str = ""


GPL2 = "GPL-2.0-or-later"
PACKAGES = {
    "sqlite3-doc": Package("3.40.1-2+deb12u2", "public domain", "https://www.sqlite.org/"),
    "postgresql-doc-15": Package("15.20-0+deb12u1", "PostgreSQL", "https://www.postgresql.org/"),
    "anarchism": Package("15.3-3", GPL2, "https://anarchism.pageabode.com/afaq/index.html"),
    "cfi-en": Package("3.0-10.2", "public domain", "https://www.df.lth.se/~triad/book/"),
    "gimp-help-en": Package("2.10.34-2", "GFDL-1.2-no-invariants-or-later", "https://docs.gimp.org/"),
    "gimp-help-en-gb": Package("2.10.34-2", "GFDL-1.2-no-invariants-or-later", "https://docs.gimp.org/"),
    "png-definitive-guide": Package("20060430-4", "GFDL-1.1-or-later", "http://www.libpng.org/pub/png/pngbook.html"),
    "hugin-data": Package("2022.0.0+dfsg-2", GPL2, "https://hugin.sourceforge.io/"),
    "debian-handbook": Package("11.20220922", f"{GPL2} or CC-BY-SA-3.0", "https://debian-handbook.info/"),
    "harden-doc": Package("3.19+nmu1", GPL2, "https://www.debian.org/doc/manuals/securing-debian-manual/"),
    "installation-guide-amd64": Package("20230508+deb12u1", "GPL-2.0", "https://www.debian.org/releases/"),
    "installation-guide-i386": Package("20230508+deb12u1", "GPL-2.0", "https://www.debian.org/releases/"),
    "mh-book": Package("200605-2.2", GPL2, "https://rand-mh.sourceforge.io/book/"),
    "grass-doc": Package("8.2.1-1", GPL2, "https://grass.osgeo.org/"),
    "gnucash-docs": Package("4.13-1", "GFDL-1.1-no-invariants-or-later", "https://www.gnucash.org/"),
    "csound-doc": Package("1:6.18.0+dfsg0-1", "GFDL-1.2-or-later", "https://csound.com/"),
    "git-doc": Package("1:2.39.5-0+deb12u3", "GPL-2.0", "https://git-scm.com/"),
    "abs-guide": Package("10-4", "public domain", "https://tldp.org/LDP/abs/html/"),
    "libreoffice-help-en-us": Package("4:7.4.7-1+deb12u14", "MPL-2.0", "https://help.libreoffice.org/"),
    "octave-doc": Package("7.3.0-2", "GPL-3.0-or-later", "https://octave.org/"),
}
SUPPORT = ("gimp-help-common", "base-files")  # only for copyright files and licence texts

DOC = "usr/share/doc"
HANDBOOK = f"{DOC}/debian-handbook/html"
INSTALL = f"{DOC}/installation-guide-amd64"
GNUCASH = f"{DOC}/gnucash-docs"
PARTS = (
    Part("sqlite3-doc", f"{DOC}/sqlite3", 5500, match=r"^[^/]*$", held=True),
    Part("sqlite3-doc", f"{DOC}/sqlite3", 550, match=r"^c3ref/", held=True),
    Part("sqlite3-doc", f"{DOC}/sqlite3", 250, match=r"^releaselog/"),
    Part("postgresql-doc-15", f"{DOC}/postgresql-doc-15/html", 2550, held=True),
    Part("anarchism", f"{DOC}/anarchism/html", 2700, held=True),
    Part("cfi-en", f"{DOC}/cfi-en/html", 900, held=True),
    Part("gimp-help-en", "usr/share/gimp/2.0/help/en", 2200, held=True),
    Part("gimp-help-en-gb", "usr/share/gimp/2.0/help/en_GB", 300, twin_of="gimp-help-en"),
    Part("hugin-data", "usr/share/hugin/xrc/data/help_en_EN", 1000, held=True),
    Part("png-definitive-guide", f"{DOC}/png-definitive-guide/html", 900),
    Part("debian-handbook", HANDBOOK, 2400, match="^en-US/", held=True),
    Part("harden-doc", f"{DOC}/harden-doc/html", 900, match="^en-US/", held=True),
    Part("installation-guide-amd64", INSTALL, 500, match="^en/"),
    Part("installation-guide-i386", f"{DOC}/installation-guide-i386", 200, "^en/", twin_of="installation-guide-amd64"),
    Part("mh-book", f"{DOC}/mh-book/html", 1900),
    Part("grass-doc", f"{DOC}/grass-doc/html", 1300),
    Part("gnucash-docs", GNUCASH, 1100, match="-en/"),
    Part("csound-doc", f"{DOC}/csound-doc/html", 1000),
    Part("git-doc", f"{DOC}/git-doc", 550),
    Part("abs-guide", f"{DOC}/abs-guide/html", 450),
    Part("libreoffice-help-en-us", "usr/share/libreoffice/help/en-US/text", 450),
    Part("octave-doc", f"{DOC}/octave/octave.html", 120),
    Part("debian-handbook", HANDBOOK, 250, match="^de-DE/", language="de"),
    Part("debian-handbook", HANDBOOK, 250, match="^fr-FR/", language="fr"),
    Part("installation-guide-amd64", INSTALL, 230, match="^es/", language="es"),
    Part("installation-guide-amd64", INSTALL, 130, match="^nl/", language="nl"),
    Part("installation-guide-amd64", INSTALL, 130, match="^el/", language="el"),
    Part("gnucash-docs", GNUCASH, 250, match="guide-it/", language="it"),
    Part("gnucash-docs", GNUCASH, 250, match="guide-pt/", language="pt"),
    Part("installation-guide-amd64", INSTALL, 250, match="^ja/", language="ja"),
    Part("installation-guide-amd64", INSTALL, 250, match="^ru/", language="ru"),
    Part("installation-guide-amd64", INSTALL, 250, match="^zh_CN/", language="zh"),
)


def digest(*parts: str) -> int:
    """A stable 64-bit number for some strings."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8])


def fetch(work: Path, package: str, version: str | None) -> Path:
    """Download and unpack one package below `work`, return its root; an unpacked package is not fetched again."""
    root = work / "root" / package
    debs = work / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    if not (found := sorted(debs.glob(f"{package}_*.deb"))):
        for wanted in [f"{package}={version}", package] if version else [package]:
            if subprocess.run(["apt-get", "download", "-q", wanted], cwd=debs, capture_output=True).returncode == 0:
                break
        found = sorted(debs.glob(f"{package}_*.deb"))
    if not found:
        sys.exit(f"cannot download {package}")
    got = subprocess.run(["dpkg-deb", "-f", found[-1], "Version"], capture_output=True, text=True, check=True)
    if version and got.stdout.strip() != version:
        print(f"warning: {package} {got.stdout.strip()} instead of {version}: the bytes will differ", file=sys.stderr)
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", found[-1], root], check=True)
    return root


def pages_of(part: Part, root: Path) -> list[Page]:
    """The pages of a part in hash order. Variants of a package share the order."""
    base = root / part.base
    pages: list[Page] = []
    for file in base.rglob("*"):
        path = file.relative_to(base).as_posix()
        if file.suffix not in {".html", ".htm", ".xhtml"} or file.is_symlink() or not re.search(part.match, path):
            continue
        if PAGE_BYTES[0] <= file.stat().st_size <= PAGE_BYTES[1]:
            pages.append(Page(part, path, file.read_bytes()))
    if not pages:
        sys.exit(f"no pages in {base}")
    return sorted(pages, key=lambda page: digest(part.twin_of or part.package, page.path))


def split_of(page: Page) -> str:
    """The file a page belongs to by its name: "pool" or the name of a held-out file."""
    if not page.part.held:
        return "pool"
    bucket = digest("split", page.part.package, page.path) % 100
    for name in ("target_select", "target_eval") if page.domain == TARGET else (OTHERS[page.domain],):
        if bucket < HELD_PERCENT[name]:
            return name
        bucket -= HELD_PERCENT[name]
    return "pool"


def take(pages: Iterable[Page], kilobytes: int) -> list[Page]:
    """Pages from the front until the budget is used up; a page that does not fit is passed over."""
    left, taken = kilobytes * 1000, list[Page]()
    for page in pages:
        if len(page.data) <= left:
            left -= len(page.data)
            taken.append(page)
    return taken


def line_key(line: str) -> str:
    """A line as compared between pages."""
    return re.sub(r"\d+", "0", line.strip())


def shared_lines(pages: list[Page]) -> set[str]:
    """Lines (digits aside) that many pages of a package have in common."""
    counts = Counter(key for page in pages for key in {line_key(line) for line in page.text.splitlines()} - {""})
    return {key for key, count in counts.items() if count > max(5, SHARED_LINE * len(pages))}


def held_text(page: Page, furniture: set[str]) -> str:
    """The text of a held-out page: without furniture, cut at a line end."""
    lines = [
        line.rstrip()
        for line in page.text.splitlines()
        if line_key(line) not in furniture and not NAVIGATION.search(line)
    ]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return text if len(text) <= HELD_CHARS else text[: text.rfind("\n", 0, HELD_CHARS)].rstrip()


def ngrams(text: str, size: int = NGRAM) -> list[int]:
    """Hashes of the word sequences of a text."""
    words = re.findall(r"\w+", text.lower())
    return [hash(" ".join(words[i : i + size])) for i in range(len(words) - size + 1)]


def repeated_words(text: str, size: int = 5) -> float:
    """The share of words that lie in a word sequence which occurs more than once."""
    grams = ngrams(text, size)
    counts = Counter(grams)
    covered = {i + k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(size)}
    return len(covered) / max(1, len(grams) + size - 1)


def is_prose(text: str) -> bool:
    """Mostly full sentences, little repetition, no code: text that the usual web rules keep."""
    words, lines = text.split(), [line.strip() for line in text.splitlines() if line.strip()]
    if len(words) < 150 or "{" in text or len(re.findall(r"[.!?]['\")]*(?:\s|$)", text)) < 5:
        return False
    chars, ended = sum(map(len, lines)), sum(line[-1] in ".!?\"'" for line in lines)
    return (
        sum(any(c.isalpha() for c in word) for word in words) >= 0.82 * len(words)
        and sum(len(line) for line in lines if len(line) >= 60 and line[-1] in ".!?:\"')") >= 0.6 * chars
        and sum(len(line) * (count - 1) for line, count in Counter(lines).items()) <= 0.01 * chars
        and ended >= 0.15 * len(lines)
        and sum(len(line) <= 30 for line in lines) <= 0.6 * len(lines)
        and len(lines) <= 0.25 * len(words)
        and repeated_words(text) <= 0.13
    )


def hold_out(held: dict[str, list[Page]], pool: list[Page], furniture: dict[str, set[str]]) -> dict[str, list[str]]:
    """JSON lines of the held-out files: prose, without overlap with the pool or among each other, up to the quota."""
    texts = {page.url: held_text(page, furniture[page.part.package]) for pages in held.values() for page in pages}
    wanted = {gram for text in texts.values() for gram in ngrams(text)}
    seen = {gram for page in pool for gram in ngrams(page.text) if gram in wanted}
    print(f"held-out: {len(texts)} candidates, {len(seen) / len(wanted):.1%} of their {NGRAM}-grams in the pool")
    result: dict[str, list[str]] = {}
    for name, pages in held.items():
        lines, used, own, shares, dropped = list[str](), 0, set[int](), list[float](), 0
        for page in pages:
            text = texts[page.url]
            grams = ngrams(text)
            share = sum(gram in seen or gram in own for gram in grams) / max(1, len(grams))
            if not is_prose(text) or used + len(text.encode()) > HELD_KB[name] * 1000:
                continue
            if share > MAX_OVERLAP:
                dropped += 1
                continue
            used += len(text.encode())
            own.update(grams)
            shares.append(share)
            row = {"id": f"{page.part.package}/{page.path}", "text": text, "url": page.url}
            row |= {"source": page.part.package, "license": PACKAGES[page.part.package].licence}
            lines.append(json.dumps(row, ensure_ascii=False))
        seen |= own  # a later file must not repeat an earlier one
        result[name] = lines
        mean = sum(shares) / max(1, len(shares))
        print(f"  {name}: {len(lines)} pages, {used / 1000:.0f} kB, overlap {mean:.2%}, {dropped} dropped for overlap")
    return result


def content_type(page: Page) -> str:
    """What servers say: mostly the plain form, at times odd casing or quotes, at times no charset."""
    usual = f"text/html; charset={page.charset}"
    odd = f'Text/HTML;Charset="{page.charset.lower()}"'
    return (usual, usual, usual, usual, odd, "text/html")[digest("type", page.url) % 6]


class Shard:
    """One WARC file, written in memory; record names and dates come from what is written."""

    def __init__(self, name: str) -> None:
        self.buffer = io.BytesIO()
        self.writer: Any = WARCWriter(self.buffer, gzip=True)
        self.add(
            Record("warcinfo", f"urn:{name}", b"software: seedbed build_sample\r\nformat: WARC File Format 1.0\r\n")
        )

    def add(self, record: Record) -> None:
        """Append a record, compressed on its own."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{record.kind} {record.url} {hashlib.sha256(record.data).hexdigest()}")
        date = EPOCH + timedelta(seconds=digest("date", record.url) % 2_000_000)
        http, info = None, record.kind == "warcinfo"
        if record.kind == "response":
            fields = [("Content-Type", record.content_type), ("Content-Length", str(len(record.data)))]
            fields += [("Location", record.location)] if record.location else []
            http = StatusAndHeaders(record.status, fields, protocol="HTTP/1.1")
        elif record.kind == "request":
            line = f"GET {record.url.removeprefix(HOST)} HTTP/1.1"
            http = StatusAndHeaders(line, [("Host", HOST.split("//")[1])], is_http_request=True)
        headers = {"WARC-Record-ID": f"<urn:uuid:{name}>", "WARC-Date": f"{date:%Y-%m-%dT%H:%M:%SZ}"}
        kind = "application/warc-fields" if info else ""
        url, payload, size = "" if info else record.url, io.BytesIO(record.data), len(record.data)
        written = self.writer.create_warc_record(url, record.kind, payload, size, kind, headers, http_headers=http)
        self.writer.write_record(written)


def extras(roots: dict[str, Path]) -> Iterator[Record]:
    """Records that are no page: images, a style sheet, a PDF file, redirects and a request."""
    images = roots["gimp-help-en"] / "usr/share/gimp/2.0/help/en/images"
    small = [file for file in sorted(images.rglob("*.png")) if 500 < file.stat().st_size < 6000]
    for file in sorted(small, key=lambda file: digest(file.name))[:8]:
        yield Record("response", f"{HOST}/gimp-help-en/images/{quote(file.name)}", file.read_bytes(), "image/png")
    for name, kind in (("sqlite.css", "text/css"), ("copyright-release.pdf", "application/pdf")):
        data = (roots["sqlite3-doc"] / DOC / "sqlite3" / name).read_bytes()
        yield Record("response", f"{HOST}/sqlite3-doc/{name}", data, kind)
    for package in ("sqlite3-doc", "gimp-help-en", "mh-book"):
        url = f"{HOST}/{package}"
        yield Record("response", url, b"", "text/html", "301 Moved Permanently", f"{url}/index.html")
    yield Record("request", f"{HOST}/sqlite3-doc/index.html", b"")


def write_pool(out: Path, pool: list[Page], roots: dict[str, Path]) -> None:
    """Spread the records over files of about equal size, in hash order, so that every file is a fair sample."""
    records = [Record("response", page.url, page.data, content_type(page)) for page in pool]
    shards = [Shard(f"pool-{number:02d}") for number in range(POOL_FILES)]
    for record in sorted([*records, *extras(roots)], key=lambda record: (digest(record.url), record.kind)):
        min(shards, key=lambda shard: shard.buffer.tell()).add(record)
    for number, shard in enumerate(shards):
        (out / f"pool-{number:02d}.warc.gz").write_bytes(shard.buffer.getvalue())


def licences(roots: dict[str, Path]) -> bytes:
    """All copyright files of the packages and the licence texts that they refer to."""
    texts: list[str] = []
    for name, root in roots.items():
        if name != "base-files" and (file := next(iter(sorted(root.glob(f"{DOC}/*/copyright"))), None)):
            texts.append(
                f"{'=' * 100}\ncopyright file of {name}\n\n{file.read_text(encoding='utf-8', errors='replace')}"
            )
    common = roots["base-files"] / "usr/share/common-licenses"
    names = ("GPL-2", "GPL-3", "GFDL-1.2", "MPL-2.0")
    texts += [f"{'=' * 100}\nlicence text {name}\n\n{(common / name).read_text(encoding='utf-8')}" for name in names]
    return "\n\n".join(texts).encode()


def sources(pool: list[Page], held: dict[str, list[str]]) -> str:
    """The text of SOURCES.md."""
    counts: dict[tuple[str, str], int] = Counter((page.part.package, page.part.language) for page in pool)
    held_counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, lines in held.items():
        for line in lines:
            held_counts[json.loads(line)["source"]][name] += 1
    rows: list[str] = []
    for (package, language), pages in sorted(counts.items(), key=lambda item: (DOMAINS[item[0][0]] != TARGET, item[0])):
        info, domain = PACKAGES[package], DOMAINS[package]
        roles = [f"pool, {'target domain ' if domain == TARGET else ''}{domain}"]
        roles += [f"{name} ({n})" for name, n in sorted(held_counts[package].items()) if language == "en"]
        cells = [package, info.version, info.licence, language, str(pages), "; ".join(roles), f"<{info.home}>"]
        rows.append(f"| {' | '.join(cells)} |")
    head = "| package | version | licence | language | pool pages | role (held-out pages) | home page |"
    return "\n".join(["# Sources of the sample", "", INTRO, head, "|---|---|---|---|---|---|---|", *rows, ""])


INTRO = """\
All text is from documentation packages of Debian 12, section main, whose contents are free by the Debian Free Software
Guidelines. The pages in `pool-*.warc.gz` are unmodified: the bytes of the files in the packages, wrapped as WARC
response records under made-up `https://docs.example.org/<package>/<path>` addresses. The `.jsonl.gz` files hold text
extracted from other pages of the same packages, shortened, without the lines that many pages share; each line names
its page, package and licence.

The copyright files of all packages, with authors and terms per file, and the licence texts that they refer to are in
`licenses.txt.gz` (texts of other licences are quoted in the copyright files). Each work remains under its own licence.
`scripts/build_sample.py` rebuilds every file of this directory from the packages.
"""


def main() -> None:
    """Build everything."""
    parser = argparse.ArgumentParser(description="Rebuild the shipped text sample from Debian documentation packages.")
    parser.add_argument("work", type=Path, help="folder for downloaded and unpacked packages (about 1.5 GB)")
    default = Path(__file__).parents[1] / "src/seedbed/sample"
    parser.add_argument("--out", type=Path, default=default, help="where to write the files (default: %(default)s)")
    args = parser.parse_args()
    out: Path = args.out
    work: Path = args.work.resolve()
    out.mkdir(parents=True, exist_ok=True)
    roots = {
        name: fetch(work, name, PACKAGES[name].version if name in PACKAGES else None) for name in [*PACKAGES, *SUPPORT]
    }

    pool: list[Page] = []
    held: dict[str, list[Page]] = {name: [] for name in HELD_KB}
    furniture: dict[str, set[str]] = defaultdict(set)
    for part in PARTS:
        pages = pages_of(part, roots[part.package])
        if part.twin_of:
            paths = {page.path for page in pool if page.part.package == part.twin_of}
            pages = [page for page in pages if page.path in paths]
        splits = {page.path: split_of(page) for page in pages}
        for page in pages:
            if splits[page.path] != "pool":
                held[splits[page.path]].append(page)
        if part.held:
            furniture[part.package] |= shared_lines(pages)
        pool += take([page for page in pages if splits[page.path] == "pool"], part.kilobytes)
    for pages in held.values():  # mix the packages of a domain
        pages.sort(key=lambda page: digest("held", page.url))

    lines = hold_out(held, pool, furniture)
    write_pool(out, pool, roots)
    for name, rows in lines.items():
        (out / f"{name}.jsonl.gz").write_bytes(gzip.compress(("\n".join(rows) + "\n").encode(), 9, mtime=0))
    (out / "licenses.txt.gz").write_bytes(gzip.compress(licences(roots), 9, mtime=0))
    (out / "SOURCES.md").write_text(sources(pool, lines), encoding="utf-8")
    html = sum(len(page.data) for page in pool)
    total = sum(file.stat().st_size for file in out.iterdir() if file.is_file())
    print(f"pool: {len(pool)} pages, {html / 1e6:.1f} MB of HTML; {total / 1e6:.2f} MB in {out}")


if __name__ == "__main__":
    main()
