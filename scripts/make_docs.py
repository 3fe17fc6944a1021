"""Write docs/methods.md and the README's table of published methods from the methods themselves.

`python scripts/make_docs.py` writes; with `--check` it writes nothing, prints what would change, and exits 1 if
anything would. Nothing about a method is kept elsewhere: docstrings give the prose, dataclass fields the parameters,
defaults and bounds, and `rules` what a filter drops.
"""

from __future__ import annotations

import difflib
import itertools
import re
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from seedbed import catalogue
from seedbed.core.method import Method
from seedbed.core.parameters import hints

ROOT = Path(__file__).parents[1]
METHODS = ROOT / "docs" / "methods.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- methods:begin -->", "<!-- methods:end -->"
BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"), ("min_length", "length >="))
SIDES = {
    "min": "drops a document whose {} is below",
    "max": "drops a document whose {} is above",
    "in": "drops a document whose {} is none of these",
}


def spelled(annotation: Any) -> str:
    """A parameter's type and bounds as a reader writes them: `float, >= 0, <= 1`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        base, *bounds = inner
        found = [f"{sign} {getattr(bound, name)}" for bound in bounds for name, sign in BOUNDS if hasattr(bound, name)]
        return ", ".join([spelled(base), *found])
    if origin is Literal:
        return " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(spelled(kind) for kind in inner)
    if origin is tuple:
        kinds = [kind for kind in inner if kind is not ...]
        return "list of " + ", ".join(spelled(kind) for kind in kinds)
    if annotation is type(None):
        return "null"
    return getattr(annotation, "__name__", str(annotation))


def meanings(method: Method) -> dict[str, str]:
    """Parameter -> what it means: the `Args:` of the class and of those it is made of, and what its rule drops."""
    found: dict[str, str] = {}
    for cls in reversed(type(method).__mro__):
        found |= described(cls.__dict__.get("__doc__") or "")
    units = {signal.name: signal.unit for signal in getattr(method, "signals", ())}
    for rule in getattr(method, "rules", ()):
        verdict = SIDES[rule.side].format(f"`{rule.signal}` ({units[rule.signal]})")
        found[rule.name] = f"{found[rule.name]} Rule: {verdict}" if rule.name in found else f"rule: {verdict}"
    return found


def described(docstring: str) -> dict[str, str]:
    """Parameter -> what the `Args:` of a class docstring say of it."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.partition("Args:")[2].splitlines():
        if match := re.match(r"\s+([a-z_][\w, ]*):\s+(.*)", line):
            names = [name.strip() for name in match.group(1).split(",")]
            found |= dict.fromkeys(names, match.group(2).strip())
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def cell(text: str) -> str:
    """Text that stays within one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def default(value: object) -> str:
    """A parameter's default, as a recipe writes it; long word lists are only counted."""
    if isinstance(value, tuple) and len(str(cast("tuple[object, ...]", value))) > 100:
        return f"{len(cast('tuple[object, ...]', value))} values, see the file"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def section(path: str) -> list[str]:
    """One method as lines of Markdown."""
    about, method = catalogue.about(path), catalogue.load(path)()
    lines = [f"### {path.rpartition('.')[2]}", "", about["title"], ""]
    lines += [f"- **{heading}**: {about[heading]}" for heading in ("What", "Source", "Fidelity")]
    parameters, means = hints(type(method)), meanings(method)
    if parameters:
        lines += ["", "| parameter | default | allowed | meaning |", "|---|---|---|---|"]
    for name, annotation in parameters.items():
        columns = (f"`{name}`", default(getattr(method, name)), spelled(annotation), means.get(name, ""))
        lines.append(f"| {' | '.join(map(cell, columns))} |")
    return [*lines, ""]


def methods_page() -> str:
    """docs/methods.md as it should be."""
    lines = [
        "# Methods",
        "",
        "Made by `make docs` from the methods' own files; do not edit. A parameter's full name is shelf, method and",
        "parameter: `curate.filters.gopher_quality.min_words`. Formulas, shapes and errors stand in each file.",
        "",
    ]
    for shelf, paths in itertools.groupby(catalogue.all_paths(), lambda path: path.rpartition(".")[0]):
        lines += [f"## {shelf}", ""]
        lines += [line for path in paths for line in section(path)]
    return "\n".join(lines).rstrip() + "\n"


def short(source: str) -> str:
    """The first source named, up to its arXiv id where it has one."""
    first = source.partition("; ")[0].rstrip(".")
    match = re.match(r".*?arXiv[: ]\s*\d{4}\.\d{4,5}", first)
    return match.group(0) if match else first


def methods_table() -> str:
    """The README's table of what has a source, between its markers."""
    lines = [BEGIN, "| method | what | source | path |", "|---|---|---|---|"]
    for path in catalogue.all_paths():
        about = catalogue.about(path)
        if about["Source"].startswith("none"):
            continue
        name, _, what = about["title"].partition(":")
        columns = (name.strip(), what.strip().rstrip("."), short(about["Source"]), f"`{path}`")
        lines.append(f"| {' | '.join(map(cell, columns))} |")
    return "\n".join([*lines, END])


def readme_page(current: str) -> str:
    """README.md with its table renewed."""
    before, begin, rest = current.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"README.md: the markers {BEGIN} and {END} are missing. Put them where the table belongs.")
    return before + methods_table() + after


def main() -> int:
    """Write both pages, or with --check compare them."""
    stale = 0
    for file in (METHODS, README):
        current = file.read_text() if file.exists() else ""
        wanted = methods_page() if file == METHODS else readme_page(current)
        if current == wanted:
            continue
        stale = 1
        name = str(file.relative_to(ROOT))
        if "--check" in sys.argv[1:]:
            diff = difflib.unified_diff(current.splitlines(True), wanted.splitlines(True), name, f"{name} (new)", n=1)
            sys.stdout.write("".join(diff) + f"{name} is stale: run `make docs` and commit it.\n")
        else:
            file.write_text(wanted)
            sys.stdout.write(f"wrote {name}\n")
    return stale if "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
