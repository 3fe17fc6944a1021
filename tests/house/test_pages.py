"""The pages' commands are real: every `seedbed` line parses, every Python block compiles and names what exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import seedbed
from seedbed.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: str) -> list[str]:
    """Shell lines in fenced blocks and `code` that begin with seedbed, a prompt or a path before it dropped."""
    blocks = re.findall(r"^```(?:sh|bash|console|text)?\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(seedbed [^`\n]+)`", page)
    found = [re.sub(r"^(\$ )?(\.venv/bin/)?", "", line.strip()) for line in lines]
    return [line for line in found if line.startswith("seedbed ")]


def parse(line: str) -> None:
    """Raises where the command line would be refused."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    name = "seedbed"
    while hasattr(command, "commands"):
        if not words or words == ["--help"]:
            return
        name, *words = words
        assert name in command.commands, f"there is no verb {name!r}: {line}"
        command = command.commands[name]
    if words != ["--help"] and words:
        command.make_context(name, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_the_page_parses(page: Path) -> None:
    for line in commands(page.read_text()):
        parse(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_compiles_and_names_what_exists(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        compile(block, page.name, "exec")
        assert [name for name in re.findall(r"\bsb\.(\w+)", block) if not hasattr(seedbed, name)] == []


@pytest.mark.parametrize("line", ["seedbed grow", "seedbed run demo", "seedbed curate a --out b --wrokers 2"])
def test_a_wrong_command_is_refused(line: str) -> None:
    with pytest.raises(Exception, match=r"no verb|[Mm]issing|[Nn]o such option"):
        parse(line)


def test_commands_are_found_in_blocks_and_in_lines() -> None:
    page = "Say `seedbed methods x`.\n\n```\n$ seedbed run demo \\\n    --out d\nmake demo\n```\n"
    assert [line.split() for line in commands(page)] == [
        ["seedbed", "run", "demo", "--out", "d"],
        ["seedbed", "methods", "x"],
    ]
