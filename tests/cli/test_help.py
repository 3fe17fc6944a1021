"""Help as a newcomer reads it: every argument explained, making before asking, recipes by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

from seedbed import cli, recipes
from tests.cli.shell import seedbed

COMMANDS = dict(get_command(cli.app).commands)  # type: ignore[attr-defined]
COMMANDS |= {f"predict {name}": command for name, command in COMMANDS.pop("predict").commands.items()}


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_argument_and_option_says_what_it_is(verb: str) -> None:
    assert [param.name for param in COMMANDS[verb].params if not param.help] == []


def test_verbs_that_make_stand_before_those_that_ask() -> None:
    verbs = list(COMMANDS)
    assert verbs[:2] == ["curate", "run"]
    assert max(map(verbs.index, ("tokenize", "train", "evaluate"))) < min(map(verbs.index, ("why", "gc", "export")))


@pytest.mark.parametrize(("verb", "param"), [("curate", "recipe"), ("run", "recipe"), ("show", "recipe")])
def test_recipes_are_named_where_one_is_asked_for(verb: str, param: str) -> None:
    (told,) = (each.help for each in COMMANDS[verb].params if each.name == param)
    assert all(name in told for name in recipes.names())


def test_curate_says_which_kinds_of_files_it_takes() -> None:
    readers = recipes.load("fineweb_en").curate.readers
    firsts = [each.suffixes[0] for each in readers]
    assert [suffix for suffix in firsts if suffix not in COMMANDS["curate"].help] == []


def test_show_alone_lists_the_recipes() -> None:
    told = seedbed("show")
    assert told.returncode == 0, told.stderr
    for name in recipes.names():
        assert f"{name} " in told.stdout
        assert recipes.title(name) in told.stdout
        assert len(recipes.title(name)) > 30


def test_listing_the_recipes_imports_none_of_them() -> None:
    program = (
        "import sys; from seedbed import cli; sys.argv = ['seedbed', 'show']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name == 'torch' or name.startswith('seedbed.recipes.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"
