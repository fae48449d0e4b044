"""Tools from a Python file or module: what `__all__` lists, else its tools and public functions."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.sources import to_tools
from gemmagraph.tools.tool import Tool

_STAMP = "__gemmagraph_changed__"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def load_python_tools(source: str | os.PathLike[str]) -> list[Tool]:
    """The tools in a Python file, or in a module given by its dotted name.

    A file is run anew each time, with its folder first on `sys.path`, so that it can import its neighbours; a
    module is looked for in the current folder first.

    Raises:
        ToolDefinitionError: there is no such file or module, it does not import, or holds no tools; the message
            names file and line.
    """
    name = os.fspath(source)
    path = Path(name).expanduser()
    if path.suffix != ".py" and not path.is_file() and _MODULE.fullmatch(name):
        with _importing(name, Path.cwd()):
            module = importlib.import_module(name)
    elif not path.is_file():
        raise _no_file(path, name)
    elif path.suffix != ".py":
        raise ToolDefinitionError(f"{name} is no Python file.", hint="Its name must end in .py.")
    else:
        with _importing(name, path.resolve().parent):
            module = _run(path.resolve())
    things = _things(module, name)
    if not things:
        raise ToolDefinitionError(
            f"{name} has no tools.", hint="Write a function with a docstring in it, or list its tools in __all__."
        )
    try:
        return to_tools(things)
    except ToolDefinitionError as exc:
        raise ToolDefinitionError(f"{name}: {exc.message}", hint=exc.hint) from exc


def load_object(source: str, folder: Path) -> Any:
    """What `./ops.py:disk_usage` or `package.module:name` names; a file is looked for in `folder`, a module there
    first.

    Raises:
        ToolDefinitionError: it is not there, or does not import; the message names file and line.
    """
    where, _, name = source.rpartition(":")
    path = folder / Path(where).expanduser()
    if path.suffix == ".py":
        if not path.is_file():
            raise _no_file(path, where)
        with _importing(where, path.resolve().parent):
            module = _module_of(path.resolve())
    else:
        with _importing(where, folder):
            module = importlib.import_module(where)
    found: Any = module
    for step in name.split("."):
        if not hasattr(found, step):
            near = difflib.get_close_matches(step, [entry for entry in dir(found) if not entry.startswith("_")], n=1)
            hint = f"Did you mean {near[0]!r}?" if near else ""
            raise ToolDefinitionError(f"{where} has no {name!r}.", hint=hint)
        found = getattr(found, step)
    return found


def _module_of(path: Path) -> ModuleType:
    """A file as a module; it is run again only if it has changed."""
    known = sys.modules.get(_module_name(path))
    stamp = path.stat().st_mtime_ns
    if known is None or getattr(known, _STAMP, None) != stamp:
        known = _run(path)
        setattr(known, _STAMP, stamp)
    return known


def _module_name(path: Path) -> str:
    return f"{path.stem} ({path})"  # no import statement can mean it, so it hides no other module


def _run(path: Path) -> ModuleType:
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # every file that ends in .py has a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # type hints are looked up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


@contextmanager
def _importing(name: str, folder: Path) -> Iterator[None]:
    """`folder` is first on `sys.path`; whatever the import raises is named by file and line."""
    sys.path.insert(0, str(folder))
    try:
        yield
    except ToolDefinitionError as exc:
        raise ToolDefinitionError(f"{_place(exc, name, folder)}: {exc.message}", hint=exc.hint) from exc
    except (Exception, SystemExit) as exc:
        hint = ""
        if isinstance(exc, ModuleNotFoundError):
            if exc.name and f"{name}.".startswith(f"{exc.name}."):
                raise ToolDefinitionError(f"There is no module {name!r}.", hint="A file ends in .py.") from exc
            hint = "Install it where gemmagraph is installed."
        known = isinstance(exc, SyntaxError | ImportError)
        what = exc.msg if isinstance(exc, SyntaxError) else str(exc) if known else f"{type(exc).__name__}: {exc}"
        raise ToolDefinitionError(f"{_place(exc, name, folder)}: {what.rstrip(': .')}.", hint=hint) from exc
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _place(error: BaseException, name: str, folder: Path) -> str:
    """File and line of an error: the last that are the user's own, not a library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}, line {error.lineno}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(str(folder)) and "site-packages" not in frame.filename
    ]
    return f"{_short(own[-1].filename)}, line {own[-1].lineno}" if own else name


def _short(path: str) -> str:
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def _things(module: ModuleType, name: str) -> list[Any]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        missing = [entry for entry in listed if not hasattr(module, entry)]
        if missing:
            raise ToolDefinitionError(f"{name} has no {missing[0]!r}, which its __all__ lists.")
        return [getattr(module, entry) for entry in listed]
    base = getattr(sys.modules.get("langchain_core.tools.base"), "BaseTool", ())
    public = ((key, value) for key, value in vars(module).items() if not key.startswith("_"))
    return [
        value
        for key, value in public
        if isinstance(value, (Tool, base))
        or (inspect.isfunction(value) and value.__module__ == module.__name__ and value.__name__ == key)
    ]


def _no_file(path: Path, name: str) -> ToolDefinitionError:
    if path.is_dir():
        return ToolDefinitionError(f"{name} is a folder.", hint="Name a Python file in it.")
    try:
        there = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".py"]
    except OSError:
        there = []
    near = difflib.get_close_matches(path.name, there, n=1)
    hint = f"Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
    return ToolDefinitionError(f"There is no file {name!r}.", hint=hint)
