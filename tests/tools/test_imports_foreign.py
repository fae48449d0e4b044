"""What an import is known to have before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools.imports.foreign import Import, Surroundings
from gemmagraph.tools.imports.mcp import mcp_import
from gemmagraph.tools.imports.openapi import openapi_import
from gemmagraph.tools.secrets import Secrets
from gemmagraph.tools.tool import Tool

AROUND = Surroundings(Path(), Secrets(), "tools.yaml:3")


async def nothing() -> list[Tool]:
    return []


@pytest.mark.parametrize(
    ("names", "globs", "may"),
    [
        (None, [], True),
        (["git_log"], ["git_*"], True),
        (["git_log"], ["read_*", "git_lo?"], True),
        (["git_log"], ["log", "git_logs", "git_?", "*_log_"], False),
        (["git_*"], ["*_log"], True),
        (["git_*"], ["gi*"], True),
        (["git_*"], ["*"], True),
        (["git_*"], ["read_*", "gi"], False),
        (["a*b*c"], ["*x*"], True),
        (["a*b"], ["*c"], False),
        (["git_*"], ["[a-f]*"], True),
        ([], ["*"], False),
    ],
)
def test_globs_that_one_name_can_fit_meet(names: list[str] | None, globs: list[str], may: bool) -> None:
    assert Import("it", "mcp", "tools.yaml:3", nothing, names).may_have(globs) is may


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({}, {"*"}),
        ({"include": ["git_log", "git_d?"]}, {"git_log", "git_d*"}),
        ({"include": ["log", "diff*"], "overrides": {"log": {"name": "git_log"}}}, {"git_log", "diff*"}),
        ({"include": ["*"], "overrides": {"log": {"name": "git_log"}}}, {"*", "git_log"}),
        ({"include": ["get log"]}, None),
        ({"include": ["[gl]*"]}, None),
    ],
)
def test_names_of_a_servers_tools_are_known_as_far_as_its_file_says(said: Any, names: set[str] | None) -> None:
    found = mcp_import({"mcp": {"command": "true"}, **said}, AROUND).names
    assert names == (found if found is None else set(found))


@pytest.mark.parametrize(
    ("include", "names"),
    [
        ([{"operationId": "getPet"}, {"operationId": "addPet"}], ["getPet", "pet_new"]),
        ([{"operationId": "get/pet"}], None),
        ([{"operationId": "any"}], None),
        ([{"operationId": "getPet"}, {"tag": "pets"}], None),
    ],
)
def test_names_of_operations_are_known_if_all_are_chosen_by_id(include: Any, names: list[str] | None) -> None:
    overrides = {"addPet": {"name": "pet_new"}}
    assert openapi_import({"openapi": "api.yaml", "include": include, "overrides": overrides}, AROUND).names == names
