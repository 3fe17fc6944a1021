"""Fewer descents for tests that fit the Chinchilla form many times; a module that imports the fixture has it."""

import dataclasses

import pytest

from seedbed.predict.laws import chinchilla


@pytest.fixture(autouse=True, scope="module")
def few_starts():
    """One of five of the first step's descents, which all end alike on these tables."""
    form = chinchilla.FORM
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chinchilla, "FORM", dataclasses.replace(form, starts=lambda p, a: form.starts(p, a)[::5]))
        yield
