"""The names of the package: the same three times over, loaded when they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gemmagraph

SOURCE = ast.parse(Path(gemmagraph.__file__).read_text(encoding="utf-8"))


def for_type_checkers() -> dict[str, str]:
    """Public names and their modules as type checkers see them."""
    block = next(node for node in SOURCE.body if isinstance(node, ast.If))
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, "without `as` a type checker does not see it as public"
            found[alias.name] = node.module.removeprefix("gemmagraph.")
    return found


def test_names_are_the_same_for_people_type_checkers_and_python():
    assert for_type_checkers() == gemmagraph._HOMES
    assert gemmagraph.__all__ == sorted({*gemmagraph._HOMES, "__version__"})


@pytest.mark.parametrize("name", gemmagraph.__all__)
def test_each_name_is_there(name):
    assert getattr(gemmagraph, name) is not None
    assert name in dir(gemmagraph)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'Agents'"):
        gemmagraph.Agents  # noqa: B018 - asking for it is the test
    assert not hasattr(gemmagraph, "agents_of_chaos")


def loaded_by(statement: str) -> set[str]:
    """The top-level packages outside the standard library that a statement loads in a fresh interpreter."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in finished.stdout.split()} - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "statement",
    [
        "import gemmagraph",
        "import gemmagraph.prompts",
        "from gemmagraph import Limits, AgentError, register_backend",
        "from gemmagraph import Gemma; Gemma('builtin')",
        "from gemmagraph import Agent; Agent('builtin')",
    ],
)
def test_no_third_party_package_is_loaded_before_it_is_needed(statement):
    assert loaded_by(statement) == {"gemmagraph"}
