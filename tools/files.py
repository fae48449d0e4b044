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

from gemmagraph.tools.errors import ToolDefinitionError, Unavailable
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
        Unavailable: the file or the module is not there, or fails where this one runs; the message names file and
            line.
        ToolDefinitionError: it is no Python, or has nothing of that name.
    """
    where, _, name = source.rpartition(":")
    path = folder / Path(where).expanduser()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise _no_file(path, where)
    with _importing(where, path.resolve().parent if is_file else folder.resolve()):
        found: Any = _module_of(path.resolve()) if is_file else importlib.import_module(where)
        steps = name.split(".")
        while steps and hasattr(found, steps[0]):
            found = getattr(found, steps.pop(0))
    if steps:
        near = difflib.get_close_matches(steps[0], [one for one in dir(found) if not one.startswith("_")], n=1)
        raise ToolDefinitionError(f"{where} has no {name!r}.", hint=f"Did you mean {near[0]!r}?" if near else "")
    return found


def absent(source: str, folder: Path) -> str | None:
    """Why what `load_object` is asked for cannot be there, as far as that is seen from outside. Nothing is
    imported."""
    where = source.rpartition(":")[0]
    path = folder / Path(where).expanduser()
    if path.suffix == ".py":
        return None if path.is_file() else str(_no_file(path, where))
    package = where.partition(".")[0]
    if package in sys.modules:
        return None
    sys.path.insert(0, str(folder))
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    finally:
        sys.path.remove(str(folder))
    return None if found else str(_no_module(where))


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
        raise Unavailable(f"{_place(exc, name, folder)}: {exc.message}", hint=exc.hint) from exc
    except (Exception, SystemExit) as exc:
        raise _failure(exc, name, folder) from exc
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _failure(error: BaseException, name: str, folder: Path) -> ToolDefinitionError:
    """What an import that failed says of its tools: bad Python is wrong anywhere, all else may be right elsewhere."""
    place = _place(error, name, folder)
    if isinstance(error, SyntaxError):
        own = (error.filename or "").startswith(str(folder))
        return (ToolDefinitionError if own else Unavailable)(f"{place}: {error.msg.rstrip(': .')}.")
    if isinstance(error, ModuleNotFoundError) and error.name:
        if f"{name}.".startswith(f"{error.name}."):
            return _no_module(name)
        hint = "Install it where gemmagraph is installed."
        return Unavailable(f"{place}: needs the package {error.name!r}.", hint=hint)
    what = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    return Unavailable(f"{place}: {what.rstrip(': .')}.")


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


def _no_module(name: str) -> ToolDefinitionError:
    return Unavailable(f"There is no module {name!r}.", hint="A file ends in .py.")


def _no_file(path: Path, name: str) -> ToolDefinitionError:
    if path.is_dir():
        return Unavailable(f"{name} is a folder.", hint="Name a Python file in it.")
    try:
        there = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".py"]
    except OSError:
        there = []
    near = next(iter(difflib.get_close_matches(path.name, there, n=1)), "")
    hint = f"Did you mean {str(path.with_name(near))!r}?" if near else ""
    return Unavailable(f"There is no file {name!r}.", hint=hint)
