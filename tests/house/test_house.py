"""The plan of the house is kept: rooms, lengths, pins, words, and what the pages promise."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from seedbed import catalogue

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "seedbed"
SOURCES = sorted(SRC.rglob("*.py"))
MAX_LINES, MAX_FUNCTION_LINES = 400, 60

# Words that no tracked file may hold, written in pieces so that this file may be one of them.
REGISTRIES = [
    name.replace(" ", ".")
    for name in ("pypi org", "pythonhosted org", "deb debian org", "registry npmjs org", "download pytorch org")
]
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "X" * 3)


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Files under version control; outside a clone, all that is no cache."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        files = [ROOT / name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        skipped = {"runs", "dist", "build", "__pycache__"}
        files = [
            file
            for file in ROOT.rglob("*")
            if not any(
                part in skipped or re.match(r"\.(?!ci$|gitignore$)", part) for part in file.relative_to(ROOT).parts
            )
        ]
    return tuple(file for file in files if file.is_file())


@functools.cache
def text_of(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", catalogue.ROOMS)
def test_every_room_has_the_same_four_parts(room: str) -> None:
    missing = [name for name in ("__init__.py", "contract.py", "run.py") if not (SRC / room / name).exists()]
    assert missing == []
    assert any(path.startswith(f"{room}.") for path in catalogue.all_paths()), "a room needs a shelf with a method"


@pytest.mark.parametrize("room", catalogue.ROOMS)
def test_the_sign_at_a_rooms_door_says_what_comes_in_and_out(room: str) -> None:
    sign = ast.get_docstring(ast.parse(text_of(SRC / room / "__init__.py"))) or ""
    missing = [word for word in ("In", "Out", "Invariants", "Add ") if not re.search(rf"^{word}", sign, re.M)]
    assert missing == []


def test_every_module_says_what_it_does() -> None:
    silent = [
        relative(file) for file in SOURCES if text_of(file).strip() and not ast.get_docstring(ast.parse(text_of(file)))
    ]
    assert silent == [relative(SRC / "__init__.py")] or silent == []


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for file in SOURCES:
        source = text_of(file)
        if (lines := source.count("\n")) > MAX_LINES:
            long.append(f"{relative(file)}: {lines} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                body = node.end_lineno - node.lineno + 1
                if body > MAX_FUNCTION_LINES:
                    long.append(f"{relative(file)}:{node.lineno} {node.name}: {body} lines")
    assert long == []


def test_no_tracked_file_names_a_registry_host() -> None:
    named = [f"{relative(file)}: {host}" for file in tracked() for host in REGISTRIES if host in text_of(file)]
    assert named == []


def test_nothing_is_left_for_later_in_code() -> None:
    pattern = re.compile(rf"\b({'|'.join(LEFTOVERS)})\b")
    code = [file for file in tracked() if file.suffix in {".py", ".toml", ".md", ""} and "sample" not in file.parts]
    assert [relative(file) for file in code if pattern.search(text_of(file))] == []


def test_there_is_no_utils_module() -> None:
    assert [relative(file) for file in SOURCES if re.match(r"(utils?|helpers?|misc|common)$", file.stem)] == []


def pins() -> dict[str, str]:
    lines = text_of(ROOT / "requirements.lock").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def test_the_lock_holds_plain_pins() -> None:
    lines = [line for line in text_of(ROOT / "requirements.lock").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9A-Za-z.]+", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))


def test_torch_is_pinned_exactly_in_the_lock_and_loosely_in_the_extra() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert pins()["torch"] == "2.13.0"
    assert not any(Requirement(line).name == "torch" for line in project["dependencies"])
    extra = [Requirement(line) for line in project["optional-dependencies"]["train"]]
    assert [
        req.specifier.contains("2.13.0") and "==" not in str(req.specifier) for req in extra if req.name == "torch"
    ] == [True]


def test_the_lock_satisfies_the_project() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    wanted = [*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]]
    found = pins()
    broken = [
        line
        for line in wanted
        if not (req := Requirement(line)).specifier.contains(found.get(canonicalize_name(req.name), "0"))
    ]
    assert broken == []


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.M))


def test_the_makefile_has_the_promised_targets() -> None:
    assert {"setup", "demo", "test", "check", "bench", "docs", "lock", "clean"} <= targets()


def test_the_pages_name_only_targets_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    commands = [re.findall(r"(?:^|`)make ([a-z]+)", text_of(page), re.M) for page in pages]
    assert {name for names in commands for name in names} <= targets()


def test_the_readme_shows_the_two_commands_and_the_way_round() -> None:
    readme = text_of(ROOT / "README.md")
    assert [
        word for word in ("make demo", "make test", "CONTRIBUTING.md", *catalogue.ROOMS) if word not in readme
    ] == []
    assert readme.count("<!-- methods:begin -->") == readme.count("<!-- methods:end -->") == 1


def test_links_between_pages_lead_somewhere() -> None:
    dead: list[str] = []
    for page in [file for file in tracked() if file.suffix == ".md"]:
        links = re.findall(r"\]\(([^)#:]+)\)", text_of(page))
        dead += [f"{relative(page)}: {link}" for link in links if not (page.parent / link).exists()]
    assert dead == []


def test_decisions_are_numbered_and_short() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [file.name[:4] for file in files] == [f"{i:04d}" for i in range(1, len(files) + 1)]
    for file in files:
        text = text_of(file)
        assert text.count("\n") <= 40, file.name
        headings = ("Context", "Choice", "Alternatives", "Consequences")
        assert re.findall(r"^## (.*)$", text, re.M) == list(headings), file.name


def test_ci_runs_the_check_and_the_tests() -> None:
    script = text_of(ROOT / ".ci" / "run")
    assert "set -euo pipefail" in script
    assert [name for name in ("check", "test") if not re.search(rf"^make (--keep-going )?{name} ", script, re.M)] == []
