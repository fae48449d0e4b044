"""Files inside the folder that FILES_ROOT names: the functions behind files.yaml.

`Root` keeps every path inside, also where links or somebody else's changes lead out of it. Names that begin with a
dot are left alone on top of that: what is hidden may run programs (.git) or hold passwords (.env).
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice

from gemmagraph.tools import ToolDefinitionError, ToolError
from gemmagraph.tools.guards.paths import Entry, Root

MOST_FILES = 5_000
"""Files that a search looks at."""
MOST_BYTES = 2**20
"""Files that are larger are not searched."""
MOST_FOUND = 50

if not os.environ.get("FILES_ROOT"):
    raise ToolDefinitionError("The variable FILES_ROOT is not set.", hint="Set it to the folder that may be used.")
ROOT = Root(os.environ["FILES_ROOT"])


def list_files(folder: str = ".") -> str:
    """List the files and folders in a folder.

    Args:
        folder: The folder, "." for the top one.
    """
    lines = [
        f"{entry.name}/" if entry.kind == "folder" else f"{entry.name}  ({entry.size:,} bytes)"
        for entry in _entries(folder)
    ]
    return "\n".join(lines) or "The folder is empty."


def read_file(path: str, first_line: int = 1, lines: int = 200) -> str:
    """Read a text file.

    Args:
        path: The file, for example "reports/may.txt".
        first_line: Where to begin.
        lines: How many lines to read.
    """
    text = ROOT.read_text(_visible(path)).splitlines()
    start = max(first_line, 1) - 1
    shown = text[start : start + max(lines, 1)]
    if len(shown) < len(text):
        shown.append(f"[Lines {start + 1} to {start + len(shown)} of {len(text)}.]")
    return "\n".join(shown) or "The file is empty."


def search_files(text: str, folder: str = ".", names: str = "*") -> str:
    """Find the lines with a text in all files below a folder. Upper and lower case are the same.

    Args:
        text: The text to look for.
        folder: Where to look, "." for everywhere.
        names: Only files with such names, for example "*.txt".
    """
    found = list(islice(_lines_with(text.casefold(), folder, names), MOST_FOUND + 1))
    if len(found) > MOST_FOUND:
        found[MOST_FOUND] = f"[These are the first {MOST_FOUND}; there are more.]"
    return "\n".join(found) or f"No file has {text!r}."


def write_file(path: str, text: str) -> str:
    """Write a text file. A file that is there already is replaced.

    Args:
        path: The file, for example "reports/may.txt".
        text: The whole text of the file.
    """
    folder = _visible(path).rpartition("/")[0]
    if folder:
        ROOT.make_folder(folder)
    ROOT.write_text(path, text)
    return f"Wrote {len(text):,} characters to {path}."


def append_to_file(path: str, text: str) -> str:
    """Add a text at the end of a file, on a line of its own.

    Args:
        path: The file; it is made if it is missing.
        text: What to add.
    """
    before = ROOT.read_text(path) if ROOT.exists(_visible(path)) else ""
    apart = "\n" if before and not before.endswith("\n") else ""
    ROOT.write_text(path, f"{before}{apart}{text.rstrip()}\n")
    return f"Added {len(text):,} characters to {path}."


def delete_file(path: str) -> str:
    """Delete a file, or an empty folder.

    Args:
        path: The file.
    """
    ROOT.delete(_visible(path))
    return f"Deleted {path}."


def _visible(path: str) -> str:
    for name in path.split("/"):
        if name not in ("", ".", "..") and _is_hidden(name):
            raise ToolError(f"{name!r} is hidden, and hidden files are left alone.")
    return path  # `..` is Root's to refuse


def _is_hidden(name: str) -> bool:
    # Some file systems leave out characters that nobody sees: there "\u200c.git" is .git.
    return name.startswith(".") or not name.isprintable()


def _entries(folder: str) -> list[Entry]:
    found = ROOT.list(_visible(folder))
    return [entry for entry in found if entry.kind in ("file", "folder") and not _is_hidden(entry.name)]


def _lines_with(wanted: str, folder: str, names: str) -> Iterator[str]:
    for path in islice(_files(folder), MOST_FILES):
        if not fnmatch(path.rpartition("/")[2], names):
            continue
        try:
            text = ROOT.read_text(path, max_bytes=MOST_BYTES)
        except ToolError:  # too large, no text, or gone meanwhile
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if wanted in line.casefold():
                yield f"{path}, line {number}: {line.strip()[:200]}"


def _files(folder: str) -> Iterator[str]:
    """The paths of the files in a folder, then of those in all below it."""
    folders = [folder]
    for current in folders:
        for entry in _entries(current):
            path = entry.name if current in ("", ".") else f"{current.rstrip('/')}/{entry.name}"
            if entry.kind == "folder":
                folders.append(path)
            else:
                yield path
