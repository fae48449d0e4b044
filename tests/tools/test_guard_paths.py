"""Every way out of a folder that was thought of, against real files; and what works inside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest

from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.guards import paths
from gemmagraph.tools.guards.paths import Entry, Root

pytestmark = pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="no Root can be made here")

SECRET = "canary-0451"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`inside` is the root; beside it lies what nobody may see or change. A safe's door is every kind of link."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "sub" / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "inside-too").mkdir()
    (tmp_path / "inside-too" / "secret.txt").write_text(SECRET)
    (inside / "a.txt").write_text("text")
    (inside / "sub" / "b.txt").write_text("below")
    links = {
        "to_file": "../outside/secret.txt",
        "to_file_absolute": str(outside / "secret.txt"),
        "to_folder": "../outside",
        "to_folder_absolute": str(outside),
        "to_parent": "..",
        "to_root": "/",
        "to_link": "to_folder",
        "to_nothing": "../outside/new.txt",
        "to_itself": "to_itself",
        "sub/up": "../..",
        "sub/proc": "/proc/self/root",
        "sub/cwd": "/proc/self/cwd",
    }
    for name, target in links.items():
        (inside / name).symlink_to(target)
    return tmp_path


@pytest.fixture
def root(place: Path) -> Root:
    return Root(place / "inside")


def snapshot(place: Path) -> dict[str, str]:
    """All that lies outside of the root."""
    found = {}
    for top, folders, names in os.walk(place):
        if Path(top) == place:
            folders.remove("inside")
        found |= {f"{top}/{name}": Path(top, name).read_text() for name in names}
        found |= {f"{top}/{name}": "folder" for name in folders}
    return found


TRAVERSALS = [
    # upwards
    "../secret.txt",
    "..",
    "../",
    "../outside/secret.txt",
    "sub/../../secret.txt",
    "sub/deep/../../../secret.txt",
    "./../secret.txt",
    ".//..//secret.txt",
    "sub/..",
    "sub/../../inside/../secret.txt",
    "../inside-too/secret.txt",
    "nothing/../../secret.txt",
    "a.txt/../../secret.txt",
    # from the top
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "/proc/self/environ",
    "/dev/stdin",
    # as on Windows
    "..\\secret.txt",
    "sub\\..\\..\\secret.txt",
    "C:\\secret.txt",
    "C:secret.txt",
    "c:/secret.txt",
    "\\\\server\\share\\secret.txt",
    "\\\\?\\C:\\secret.txt",
    "\\secret.txt",
    # control characters and halves of characters
    "../secret.txt\0.png",
    "a.txt\0",
    "\0",
    "a.txt\n../secret.txt",
    "\udc2e\udc2e/secret.txt",
    "sub/\ud83d/secret.txt",
    # what only looks so, or becomes so when it is normalised
    "\uff0e\uff0e/secret.txt",
    "\u2025/secret.txt",
    "..\uff0fsecret.txt",
    "..\u2215secret.txt",
    "..\u2044secret.txt",
    "..\uff3csecret.txt",
    "\u2024\u2024/secret.txt",
    "\ufe52\ufe52/secret.txt",
    "..\u29f8secret.txt",
    "sub/\u202e../secret.txt",
    # through links
    "to_file",
    "to_file_absolute",
    "to_folder/secret.txt",
    "to_folder_absolute/secret.txt",
    "to_parent/secret.txt",
    "to_root/etc/passwd",
    "to_link/secret.txt",
    "to_nothing",
    "to_itself",
    "to_itself/secret.txt",
    "sub/up/secret.txt",
    "sub/proc/etc/passwd",
    "sub/cwd/secret.txt",
]
assert len(TRAVERSALS) >= 40


def plain(path: str) -> str:
    return ascii(path)


@pytest.mark.parametrize("path", TRAVERSALS, ids=plain)
def test_nothing_outside_is_read_or_changed(path: str, root: Root, place: Path) -> None:
    before = snapshot(place)
    for read in (
        root.read_text,
        root.read_bytes,
        lambda path: root.open(path).read(),
        lambda path: root.list(f"{path}/."),
        lambda path: list(root.files(path)),
    ):
        with pytest.raises(ToolError) as refused:
            read(path)
        assert SECRET not in str(refused.value)
    for change in (
        lambda path: root.open(path, "w"),
        lambda path: root.open(path, "a"),
        lambda path: root.open(path, "x"),
        lambda path: root.open(path, "r+"),
        lambda path: root.write_text(path, "changed"),
        lambda path: root.write_text(path, "changed", overwrite=False),
        lambda path: root.make_folder(f"{path}/folder"),
        lambda path: root.write_text(f"{path}/new.txt", "changed"),
    ):
        with pytest.raises(ToolError):
            change(path)
    with suppress(ToolError):
        root.delete(path)  # a link itself may be deleted: it lies inside
    assert snapshot(place) == before


@pytest.mark.parametrize("path", [path for path in TRAVERSALS if "to_" not in path], ids=plain)
def test_not_even_existence_is_told(path: str, root: Root) -> None:
    with pytest.raises(ToolError):
        root.exists(path)


@pytest.mark.parametrize(
    "path",
    ["a.txt", "./a.txt", "sub//b.txt", "sub/./b.txt", "..a", "a..", "...", "sub/.hidden", "~", "$HOME", "12:30.txt"],
)
def test_ordinary_names_are_ordinary(path: str, root: Root, place: Path) -> None:
    root.write_text(path, "é\n")
    assert (place / "inside" / path).read_text("utf-8") == "é\n"
    assert root.read_text(path) == "é\n"
    assert root.exists(path)


@pytest.mark.parametrize("name", ["ü.txt", "u\u0308.txt", "日本.txt", "👩‍💻.txt", "naïve café"])
def test_names_of_all_languages_are_kept_as_they_are(name: str, root: Root) -> None:
    root.write_text(name, "x")
    assert name in [entry.name for entry in root.list()]


# --- what is no plain file


@pytest.fixture
def odd(root: Root, place: Path) -> Iterator[dict[str, str]]:
    inside = place / "inside"
    os.mkfifo(inside / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(inside / "socket"))
    found = {"pipe": "pipe", "socket": "socket", "folder": "sub"}
    with suppress(PermissionError):
        os.mknod(inside / "null", 0o020666, os.makedev(1, 3))
        found["device"] = "null"
    yield found
    server.close()


@pytest.mark.parametrize("what", ["pipe", "socket", "folder", "device"])
def test_only_plain_files_are_opened(what: str, root: Root, odd: dict[str, str]) -> None:
    if what not in odd:
        pytest.skip("this user can make no device")
    for use in (
        root.read_text,
        lambda path: root.open(path, "a"),
        lambda path: root.open(path, "w"),
        lambda path: root.write_text(path, "x"),
    ):
        with pytest.raises(ToolError, match="a folder" if what == "folder" else "a device or a pipe"):
            use(odd[what])
    assert root.kind(odd[what]) == ("folder" if what == "folder" else "other")


def test_a_file_with_a_second_name_outside_is_not_written_into(root: Root, place: Path) -> None:
    os.link(place / "secret.txt", place / "inside" / "hard")
    for mode in ("w", "a", "r+"):
        with pytest.raises(ToolError, match="hard link"):
            root.open("hard", mode)  # type: ignore[call-overload]
    root.write_text("hard", "mine")
    assert root.read_text("hard") == "mine"
    assert (place / "secret.txt").read_text() == SECRET


# --- while somebody else changes the folder


SWAP = """
import ctypes, os, sys
exchange = ctypes.CDLL(None).renameat2
one, other = map(os.fsencode, sys.argv[1:])
if exchange(-100, one, -100, other, 2):
    sys.exit("no exchange here")
print("ready", flush=True)
while True:
    exchange(-100, one, -100, other, 2)
"""


@contextmanager
def swapped(one: Path, other: Path) -> Iterator[None]:
    """Another process gives two names each other's meaning, as fast as it goes."""
    command = [sys.executable, "-I", "-S", "-c", SWAP, str(one), str(other)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"ready\n":
                pytest.skip("this system cannot exchange two names at once")
            yield
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_no_swap_leads_outside(what: str, root: Root, place: Path) -> None:
    inside, outside = place / "inside", place / "outside"
    (inside / "swapped").mkdir()
    (inside / "swapped" / "secret.txt").write_text("harmless")
    (inside / "plain").write_text("harmless")
    name, target = ("swapped", outside) if what == "folder" else ("plain", outside / "secret.txt")
    (inside / "link").symlink_to(target)
    path = "swapped/secret.txt" if what == "folder" else "plain"
    before = snapshot(place)
    count = {"done": 0, "refused": 0}

    def attempt(action: Callable[[], object]) -> None:
        try:
            assert SECRET not in str(action())
            count["done"] += 1
        except ToolError:
            count["refused"] += 1

    def write(mode: Literal["w", "r+"]) -> None:
        with root.open(path, mode) as file:
            file.write("harmless")

    with swapped(inside / name, inside / "link"):
        for number in range(20_000):
            if number >= 1_000 and min(count.values()) > 50:  # on a busy machine the swaps are met late
                break
            attempt(lambda: root.read_text(path))
            attempt(lambda: [*root.files(name)])
            attempt(lambda: root.list(name))
            attempt(lambda: write("r+"))
            attempt(lambda: write("w"))
            if what == "folder":
                attempt(lambda number=number: root.write_text(f"swapped/new{number % 3}", "harmless"))
                attempt(lambda: root.make_folder("swapped/made/below"))
                attempt(lambda number=number: root.delete(f"swapped/new{number % 3}"))
    assert snapshot(place) == before
    assert min(count.values()) > 50, f"the swaps were not met: {count}"


def test_a_reader_sees_the_old_text_or_the_new(root: Root) -> None:
    texts = ["a" * 100_000, "b" * 100_000]
    root.write_text("whole", texts[0])
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            for text in texts:
                root.write_text("whole", text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {root.read_text("whole") for _ in range(200)}
    finally:
        ended.set()
        writer.join(10)
    assert seen <= set(texts)


# --- what works inside


def test_files_are_read_written_listed_and_deleted(root: Root, place: Path) -> None:
    root.make_folder("new/below")
    root.make_folder("new/below")
    root.write_text("new/below/x.txt", "one")
    root.write_text("new/below/x.txt", "two")
    with root.open("new/below/x.txt", "a") as file:
        file.write(" three")
    assert root.read_text("new/below/x.txt") == "two three"
    assert root.list("new/below") == [Entry("x.txt", "file", 9)]
    assert root.list("new") == [Entry("below", "folder", 0)]
    assert [*root.files("new")] == ["new/below/x.txt"]
    root.delete("new/below/x.txt")
    assert not root.exists("new/below/x.txt")
    root.delete("new/below")
    assert root.kind("new/below") is None


def test_all_files_are_found_but_no_links(root: Root) -> None:
    assert [*root.files()] == ["a.txt", "sub/b.txt"]
    kinds = {entry.name: entry.kind for entry in root.list()}
    assert (kinds["a.txt"], kinds["sub"], kinds["to_folder"]) == ("file", "folder", "link")


def test_hidden_files_take_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_ENTRIES", 3)
    (tmp_path / ".git").mkdir()
    for name in (".git/1", ".git/2", ".git/3", ".env", "a", "b"):
        (tmp_path / name).write_text("")
    root = Root(tmp_path)
    assert [*root.files()] == ["a", "b"]
    assert [*root.files(hidden=True)] == [".env", "a", "b"]
    assert [*root.files(".git")] == [".git/1", ".git/2", ".git/3"]


def test_replacing_a_file_keeps_its_permissions_and_leaves_no_draft(root: Root, place: Path) -> None:
    (place / "inside" / "a.txt").chmod(0o640)
    root.write_text("a.txt", "new")
    assert (place / "inside" / "a.txt").stat().st_mode & 0o777 == 0o640
    assert not [entry for entry in root.list() if entry.name.startswith(".")]


def test_what_is_there_is_not_overwritten_if_it_must_not_be(root: Root) -> None:
    with pytest.raises(ToolError, match="already"):
        root.write_text("a.txt", "new", overwrite=False)
    root.write_text("new.txt", "new", overwrite=False)
    assert (root.read_text("a.txt"), root.read_text("new.txt")) == ("text", "new")


def test_a_link_is_deleted_and_not_what_it_points_to(root: Root, place: Path) -> None:
    root.delete("to_folder")
    root.delete("to_file")
    assert (place / "outside" / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda root: root.read_text("b.tx"), "There is no 'b.tx'."),
        (lambda root: root.read_text("A.txt"), "'a.txt'"),
        (lambda root: root.read_text("suub/b.txt"), "'sub'"),
        (lambda root: root.read_text("nothing/b.txt"), "There is no 'nothing/b.txt'."),
        (lambda root: root.write_text("nothing/b.txt", ""), "There is no 'nothing/b.txt'."),
        (lambda root: root.read_text("a.txt/b"), "no folder"),
        (lambda root: root.read_text("."), "names the folder itself"),
        (lambda root: root.delete("."), "names the folder itself"),
        (lambda root: root.delete("sub"), "not empty"),
        (lambda root: root.delete("nothing"), "There is no 'nothing'"),
        (lambda root: root.list("a.txt"), "no folder"),
        (lambda root: root.open("a.txt", "x"), "already"),
        (lambda root: root.make_folder("a.txt"), "no folder"),
        (lambda root: root.read_text("x" * 300), "too long a name"),
        (lambda root: root.read_text("to_file"), "symbolic link"),
        (lambda root: root.read_text("to_folder/secret.txt"), "symbolic link"),
        (lambda root: root.read_text("a.txt", max_bytes=3), "more than 3 bytes"),
        (lambda root: root.read_text(3), "A path is a text"),
    ],
)
def test_the_model_is_told_what_is_wrong(use: Callable[[Root], object], said: str, root: Root) -> None:
    with pytest.raises(ToolError) as refused:
        use(root)
    assert said in str(refused.value)


def test_what_is_no_text_is_said(root: Root) -> None:
    root.write_bytes("x", b"ab\xff")
    with pytest.raises(ToolError, match="byte 2 is not utf-8"):
        root.read_text("x")
    assert root.read_bytes("x") == b"ab\xff"


def test_a_folder_that_is_missing_is_a_fault_of_the_definition(place: Path) -> None:
    with pytest.raises(ToolDefinitionError, match="no folder"):
        Root(place / "nothing")
    with pytest.raises(ToolDefinitionError, match="no folder"):
        Root(place / "secret.txt")


def test_no_file_stays_open(root: Root) -> None:
    before = len(os.listdir("/dev/fd"))
    for path in ("a.txt", "to_folder/x", "sub/b.txt", "nothing", "sub/nothing/x", "../x", "a.txt/x"):
        for use in (root.read_text, root.list, root.make_folder, root.exists, lambda path: [*root.files(path)]):
            try:
                use(path)
            except ToolError:
                continue
    assert len(os.listdir("/dev/fd")) == before
