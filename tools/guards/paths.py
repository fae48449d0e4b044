"""Files inside of one folder, and nothing outside of it, whatever a path says and whoever changes the folder.

A path is walked folder by folder, each opened from the one before it, and a symbolic link is refused wherever it
points: nothing can be swapped between a check and its use. Only plain files are read and written: devices and pipes
are refused. A file that has a second name elsewhere (a hard link) is read and replaced, but never written into.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader, BufferedWriter, TextIOWrapper
from typing import IO, Any, Final, Literal, TypeAlias, overload

from gemmagraph.tools.errors import ToolDefinitionError, ToolError

Kind: TypeAlias = Literal["file", "folder", "link", "other"]

MAX_BYTES: Final = 10 << 20
"""Bytes of a file that `read_text` and `read_bytes` read."""
MAX_ENTRIES: Final = 10_000
"""Names that `list` and `files` give."""

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_LOOK_LIKE_SLASHES: Final = frozenset("\u2044\u2215\u2216\u29f5\u29f8\u29f9\u2571\u2572\u27cb\u27cd")
"""Slashes that Unicode's own normalisation does not turn into the plain ones."""
_TURN_AROUND: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They make a name read otherwise than it is."""
_FLAGS: Final = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
}
# Not all of these are there on Windows, where no Root can be made.
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER: Final[int] = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_NO_WAIT: Final[int] = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

TextMode: TypeAlias = Literal["r", "r+", "w", "a", "x"]
BinaryMode: TypeAlias = Literal["rb", "r+b", "wb", "ab", "xb"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: Kind
    size: int
    """Bytes, of a file."""


class Root:
    """A folder that a tool may use, and that it cannot leave.

    Paths are relative to it and use `/`. Everything raises `ToolError`, in words for the model.

    Args:
        folder: Where it is. It may be a symbolic link itself; those inside of it are refused.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if os.open not in os.supports_dir_fd:
            raise ToolDefinitionError("A Root cannot be made here: the system opens no file relative to a folder.")
        self.folder = os.path.realpath(os.path.expanduser(folder))
        if not os.path.isdir(self.folder):
            raise ToolDefinitionError(f"There is no folder {os.fspath(folder)!r}.")

    def __repr__(self) -> str:
        return f"Root({self.folder!r})"

    def read_text(self, path: str, *, encoding: str = "utf-8", max_bytes: int = MAX_BYTES) -> str:
        """The text of a file."""
        try:
            return self.read_bytes(path, max_bytes=max_bytes).decode(encoding)
        except UnicodeDecodeError as exc:
            raise ToolError(f"{path!r} is no text: byte {exc.start} is not {encoding}.") from exc

    def read_bytes(self, path: str, *, max_bytes: int = MAX_BYTES) -> bytes:
        """What is in a file."""
        with self.open(path, "rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ToolError(f"{path!r} is too large: more than {max_bytes:,} bytes.")
        return content

    def write_text(self, path: str, text: str, *, encoding: str = "utf-8", overwrite: bool = True) -> None:
        """Makes a file of `text`, or replaces one: whoever reads it sees the old text or the new, never a part."""
        self.write_bytes(path, text.encode(encoding), overwrite=overwrite)

    def write_bytes(self, path: str, content: bytes, *, overwrite: bool = True) -> None:
        """The same with bytes."""
        with self._place(path) as (folder, name), _explained(path):
            mode = _mode(folder, name)
            if mode is not None:
                _check_plain(path, mode)
                if not overwrite:
                    raise ToolError(f"There is a file {path!r} already.")
            draft = f".{name[:100]}.{secrets.token_hex(6)}.new"
            permissions = stat.S_IMODE(mode) if mode is not None else 0o666
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, permissions, dir_fd=folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    if mode is not None:
                        os.fchmod(fd, permissions)
                    file.write(content)
                    file.flush()
                    os.fsync(fd)
                if overwrite:
                    os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
                else:  # refuses what has come in between
                    os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft, dir_fd=folder)

    @overload
    def open(self, path: str, mode: TextMode = "r", *, encoding: str = "utf-8") -> TextIOWrapper: ...
    @overload
    def open(self, path: str, mode: Literal["rb"]) -> BufferedReader: ...
    @overload
    def open(self, path: str, mode: Literal["wb", "ab", "xb"]) -> BufferedWriter: ...
    @overload
    def open(self, path: str, mode: Literal["r+b"]) -> BufferedRandom: ...
    def open(self, path: str, mode: TextMode | BinaryMode = "r", *, encoding: str = "utf-8") -> IO[Any]:
        """A file, opened as `open` does."""
        kind = mode.replace("b", "")
        if kind not in _FLAGS:
            raise ValueError(f"A file is opened with one of {', '.join(_FLAGS)}, and b; not {mode!r}.")
        with self._place(path) as (folder, name), _explained(path):
            before = _mode(folder, name)
            if before is not None:
                _check_plain(path, before)  # opening a device may have an effect of its own
            elif not _FLAGS[kind] & os.O_CREAT:
                raise _nothing(path, folder, name)
            fd = os.open(name, _FLAGS[kind] | _NO_LINK | _NO_WAIT, 0o666, dir_fd=folder)
            try:
                found = os.fstat(fd)
                _check_plain(path, found.st_mode)
                if kind != "r" and found.st_nlink > 1:
                    raise ToolError(f"{path!r} has another name elsewhere (a hard link), and is not written into.")
                if kind == "w":
                    os.ftruncate(fd, 0)
                os.set_blocking(fd, True)
                return os.fdopen(fd, mode, encoding=None if "b" in mode else encoding)
            except BaseException:
                os.close(fd)
                raise

    def list(self, path: str = ".") -> list[Entry]:
        """What is in a folder, by name. Not more than 10,000 entries."""
        with self._folder(path) as folder, os.scandir(folder) as names:
            entries = [_entry(found) for found, _ in zip(names, range(MAX_ENTRIES), strict=False)]
        return sorted(entries, key=lambda entry: entry.name)

    def files(self, path: str = ".", *, hidden: bool = False) -> Iterator[str]:
        """The paths of the plain files in a folder and in all below it. Not more than 10,000; links are left out.

        Args:
            hidden: whether those count too whose name, or that of a folder on the way, begins with a dot.
        """
        start = "/".join(_parts(path))
        count = 0
        with self._folder(path) as folder:
            for top, folders, names, fd in os.fwalk(".", dir_fd=folder):
                folders[:] = sorted(name for name in folders if hidden or name[:1] != ".")
                for name in sorted(name for name in names if hidden or name[:1] != "."):
                    mode = _mode(fd, name)
                    if mode is None or not stat.S_ISREG(mode):
                        continue
                    yield os.path.normpath(os.path.join(start, top, name))
                    count += 1
                    if count == MAX_ENTRIES:
                        return

    def kind(self, path: str) -> Kind | None:
        """What a path names; None if there is nothing."""
        if not _parts(path):
            return "folder"
        try:
            with self._place(path) as (folder, name), _explained(path):
                mode = _mode(folder, name)
        except _NothingThere:
            return None
        return None if mode is None else _kind(mode)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder of this name."""
        return self.kind(path) in ("file", "folder")

    def delete(self, path: str) -> None:
        """Deletes a file, a link or an empty folder."""
        with self._place(path) as (folder, name), _explained(path):
            mode = _mode(folder, name)
            if mode is None:
                raise _nothing(path, folder, name)
            (os.rmdir if stat.S_ISDIR(mode) else os.unlink)(name, dir_fd=folder)

    def make_folder(self, path: str) -> None:
        """Makes a folder, and those above it that are missing. It may be there already."""
        with _explained(path):
            current = os.open(self.folder, _FOLDER)
            try:
                for name in _parts(path):
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=current)
                    current = _stepped(current, name)
            finally:
                os.close(current)

    @contextmanager
    def _place(self, path: str) -> Iterator[tuple[int, str]]:
        """The open folder in which the last name of `path` stands, and that name."""
        parts = _parts(path)
        if not parts:
            raise ToolError(f"{path!r} names the folder itself.", hint="Name a file in it.")
        with self._folder("/".join(parts[:-1]), path) as folder:
            yield folder, parts[-1]

    @contextmanager
    def _folder(self, path: str, whole: str | None = None) -> Iterator[int]:
        """The open folder that `path` names."""
        with _explained(whole or path):
            current = os.open(self.folder, _FOLDER)
        try:
            with _explained(whole or path):
                for name in _parts(path):
                    if (mode := _mode(current, name)) is None:
                        raise _nothing(whole or path, current, name)
                    if stat.S_ISLNK(mode):
                        raise OSError(errno.ELOOP, "link")
                    current = _stepped(current, name)
            yield current
        finally:
            os.close(current)


class _NothingThere(ToolError):
    """There is no such file or folder."""


def _parts(path: str) -> list[str]:
    """The names in a path.

    Raises:
        ToolError: it leads out of the folder, or looks as if it did.
    """
    problem = ""
    if not isinstance(path, str):
        raise ToolError(f"A path is a text, not {path!r}.")
    if "\0" in path or any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        problem = "has a control character in it"
    elif path.startswith("/"):
        problem = "is not relative"
    elif "\\" in path or _DRIVE.match(path):
        problem = "is written as on Windows"
    elif _TURN_AROUND.intersection(path):
        problem = "has a character in it that turns text around"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not problem:
        problem = next(filter(None, map(_dubious, parts)), "")
    if problem:
        raise ToolError(
            f"{path!r} {problem}.", hint="Paths are relative to the folder, like 'a/b.txt', and never leave it."
        )
    return parts


def _dubious(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    if name == "..":
        return "leads out of its folder"
    if plain in (".", "..") or _LOOK_LIKE_SLASHES.intersection(plain) or "/" in plain or "\\" in plain:
        return "has a character in it that only looks like a dot or a slash"
    return ""


def _stepped(folder: int, name: str) -> int:
    """The folder `name` in an open folder, which is closed."""
    below = os.open(name, _FOLDER, dir_fd=folder)
    os.close(folder)
    return below


def _mode(folder: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        seen = found.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted meanwhile
        return Entry(found.name, "other", 0)
    kind = _kind(seen.st_mode)
    return Entry(found.name, kind, seen.st_size if kind == "file" else 0)


def _check_plain(path: str, mode: int) -> None:
    kind = _kind(mode)
    if kind == "link":
        raise OSError(errno.ELOOP, "link")
    if kind != "file":
        raise ToolError(f"{path!r} is {'a folder' if kind == 'folder' else 'no plain file, but a device or a pipe'}.")


def _nothing(path: str, folder: int, name: str) -> ToolError:
    with os.scandir(folder) as names:
        there = {found.name.casefold(): found.name for found, _ in zip(names, range(MAX_ENTRIES), strict=False)}
    near = difflib.get_close_matches(name.casefold(), there, n=1)
    return _NothingThere(f"There is no {path!r}.", hint=f"Did you mean {there[near[0]]!r}?" if near else "")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turns the system's refusals into ours."""
    try:
        yield
    except FileNotFoundError as exc:
        raise _NothingThere(f"There is no {path!r}.") from exc
    except OSError as exc:
        said = {
            errno.ELOOP: "is or passes through a symbolic link, which is refused",
            errno.EMLINK: "is or passes through a symbolic link, which is refused",
            errno.ENOTDIR: "passes through something that is no folder",
            errno.EISDIR: "is a folder",
            errno.EEXIST: "is there already",
            errno.ENOTEMPTY: "is a folder that is not empty",
            errno.ENAMETOOLONG: "has too long a name in it",
            errno.ENXIO: "is no plain file, but a device or a pipe",
        }.get(exc.errno or 0, f"cannot be used: {exc.strerror or exc}")
        raise ToolError(f"{path!r} {said}.") from exc
