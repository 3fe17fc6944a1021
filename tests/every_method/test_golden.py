"""A method whose output changed has a new version, and the golden file knows it."""

from __future__ import annotations

import pytest

from tests.every_method import golden

RENEW = "run `make golden`"


@pytest.mark.parametrize("path", golden.text_methods())
def test_the_output_of_this_version_is_the_recorded_one(path: str) -> None:
    recorded, found = golden.load().get(path), golden.entry(path)
    assert recorded is not None, f"{path} is not recorded: {RENEW}"
    if found["version"] == recorded["version"]:
        assert found["hash"] == recorded["hash"], (
            f"{path}: the output changed. Raise `version` in its file, then {RENEW}"
        )
    assert found == recorded, f"{path}: version {found['version']} is not recorded: {RENEW}"


def test_no_method_is_recorded_that_is_gone() -> None:
    assert set(golden.load()) <= set(golden.text_methods())
