"""Of a process of this machine it is known when it is no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gemmagraph.store.owners import gone, new_owner


def test_a_process_that_lives_is_there() -> None:
    assert not gone(new_owner())


def test_one_that_has_ended_is_gone() -> None:
    written = "from gemmagraph.store.owners import new_owner; print(new_owner())"
    ended = subprocess.run([sys.executable, "-c", written], capture_output=True, text=True, check=True).stdout.strip()
    assert gone(ended)


@pytest.mark.parametrize("owner", ["", "another-machine/1/x", f"{new_owner().rsplit(chr(47), 2)[0]}/x/y", "0" * 32])
def test_of_others_nothing_is_known(owner: str) -> None:
    assert not gone(owner)
