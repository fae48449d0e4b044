"""What a command can do in a sandbox, and what it cannot, against the real bubblewrap."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools.errors import ToolDefinitionError, ToolError
from gemmagraph.tools.guards import sandbox as module
from gemmagraph.tools.guards.processes import Finished, run_process
from gemmagraph.tools.guards.sandbox import Sandbox

REFUSAL = Sandbox().refusal() or Sandbox(network=True).refusal()
needs_bubblewrap = pytest.mark.skipif(bool(REFUSAL), reason=f"no sandbox here: {REFUSAL}")
SH = "/bin/sh"
WAIT = 20.0


def run(argv: list[str], sandbox: Sandbox | None, **said: Any) -> Finished:
    async def bounded() -> Finished:
        async with asyncio.timeout(WAIT):
            return await run_process(argv, sandbox=sandbox, **said)

    return asyncio.run(bounded())


def python(code: str, sandbox: Sandbox, *arguments: str) -> Finished:
    # The interpreter of a virtual environment may stand in a folder that is emptied; the one behind it does not.
    interpreter = os.path.realpath(sys.executable)
    return run([interpreter, "-I", "-S", "-c", textwrap.dedent(code), *arguments], sandbox)


class Listener:
    """A server on this machine that counts who comes."""

    def __init__(self, family: int, address: Any) -> None:
        self.server = socket.socket(family)
        self.server.bind(address)
        self.server.listen()
        self.hits = 0
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            caller, _ = self.server.accept()
            with caller:
                if caller.recv(4) == b"end":
                    return
                self.hits += 1

    def close(self) -> None:
        with socket.socket(self.server.family) as last:
            last.connect(self.server.getsockname())
            last.sendall(b"end")
        self.thread.join(WAIT)
        self.server.close()


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[dict[str, Listener]]:
    found = {
        "network": Listener(socket.AF_INET, ("127.0.0.1", 0)),
        "abstract": Listener(socket.AF_UNIX, f"\0gemmagraph-test-{os.getpid()}"),
        "file": Listener(socket.AF_UNIX, str(tmp_path / "s")),
    }
    yield found
    for listener in found.values():
        listener.close()


CALL = """
    import json, socket, sys
    family, address = json.loads(sys.argv[1])
    with socket.socket(family) as caller:
        caller.connect(tuple(address) if isinstance(address, list) else address)
        caller.sendall(b"hit")
    print("reached")
"""


def calls(listener: Listener, sandbox: Sandbox) -> bool:
    address = listener.server.getsockname()
    address = address.decode() if isinstance(address, bytes) else address
    finished = python(CALL, sandbox, json.dumps([int(listener.server.family), address]))
    return finished.stdout == "reached\n"


@needs_bubblewrap
@pytest.mark.parametrize("what", ["network", "abstract", "file"])
def test_no_service_of_this_machine_is_reached(what: str, listeners: dict[str, Listener]) -> None:
    assert not calls(listeners[what], Sandbox())
    assert listeners[what].hits == 0


@needs_bubblewrap
def test_the_network_is_reached_where_it_is_asked_for(listeners: dict[str, Listener]) -> None:
    assert calls(listeners["network"], Sandbox(network=True))
    assert not calls(listeners["file"], Sandbox(network=True))


WRITES = {
    "a new file": "echo x > {outside}/new",
    "over a file": "echo x > {outside}/kept",
    "at its end": "echo x >> {outside}/kept",
    "delete": "rm -f {outside}/kept",
    "rename": "mv {outside}/kept {outside}/moved",
    "permissions": "chmod 777 {outside}/kept",
    "a folder": "mkdir {outside}/folder",
    "a link": "ln -s /etc/passwd {outside}/link",
    "a hard link": "ln {outside}/kept {allowed}/linked && echo x > {allowed}/linked",
    "through a link": "ln -s {outside} {allowed}/way && echo x > {allowed}/way/new",
    "up from a folder": "echo x > {allowed}/../../outside/new",
    "a device": "mknod {allowed}/disk b 8 0 && echo x > {allowed}/disk",
    "mounted anew": "mount -o remount,rw / ; mount -o remount,rw,bind {outside}; echo x > {outside}/new",
    "mounted elsewhere": "mount --bind {outside} {allowed}; echo x > {allowed}/new",
    "out of the root": "chroot /proc/1/root sh -c 'echo x > {outside}/new'",
    "through the root of another process": "for p in /proc/[0-9]*; do echo x > $p/root{outside}/new; done",
    "through the folder of another process": "for p in /proc/[0-9]*; do echo x > $p/cwd/new; done",
    "in namespaces of its own": "unshare -rm sh -c 'mount -o remount,rw,bind / ; echo x > {outside}/new'",
    "settings of the kernel": "echo gemmagraph > /proc/sys/kernel/hostname",
    "settings of users": "echo x > /etc/gemmagraph-test",
    "its own home": "echo x > $HOME/gemmagraph-test",
    "programs": "echo x > /usr/bin/gemmagraph-test",
}


@needs_bubblewrap
@pytest.mark.parametrize("how", WRITES)
def test_nothing_is_written_but_where_it_may_be(how: str, place: Path) -> None:
    outside, allowed = place / "outside", place / "allowed"
    run([SH, "-c", WRITES[how].format(outside=outside, allowed=allowed)], Sandbox(write=(str(allowed),)))
    assert sorted(found.name for found in outside.iterdir()) == ["kept"]
    assert (outside / "kept").read_text() == "as it was"
    assert (outside / "kept").stat().st_mode & 0o777 == 0o644
    named = [Path("/etc/gemmagraph-test"), Path("/usr/bin/gemmagraph-test"), Path.home() / "gemmagraph-test"]
    written = [path for path in named if path.exists()]
    for path in written:
        path.unlink()
    assert not written
    assert socket.gethostname() != "gemmagraph"


@pytest.mark.parametrize("how", list(WRITES)[:9])
def test_the_same_lines_do_write_without_a_sandbox(how: str, place: Path) -> None:
    outside, allowed = place / "outside", place / "allowed"
    before = [(found.name, found.stat()) for found in sorted(outside.iterdir())]
    run([SH, "-c", WRITES[how].format(outside=outside, allowed=allowed)], None)
    assert [(found.name, found.stat()) for found in sorted(outside.iterdir())] != before


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that is not emptied in a sandbox, so that what is in it can be seen there."""
    for top in (Path.home(), Path(__file__).parent):
        if not module._emptied(str(top)) and os.access(top, os.W_OK):
            made = Path(tempfile.mkdtemp(prefix=".sandbox-", dir=top))
            break
    else:
        pytest.skip("every folder to write in is one that sandboxes empty")
    (made / "outside").mkdir()
    (made / "allowed").mkdir()
    (made / "outside" / "kept").write_text("as it was")
    (made / "outside" / "kept").chmod(0o644)
    yield made
    shutil.rmtree(made)


@needs_bubblewrap
def test_it_writes_where_it_may(place: Path) -> None:
    sandbox = Sandbox(write=(str(place / "allowed"),))
    finished = run([SH, "-c", "echo x > new && cat ../outside/kept"], sandbox, cwd=place / "allowed")
    assert finished.stdout == "as it was"
    assert (place / "allowed" / "new").read_text() == "x\n"


@needs_bubblewrap
def test_temporary_files_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    script = f"cat {tmp_path}/mine; ls -A /tmp /run /var/tmp /dev/shm; echo x > /tmp/new && cat /tmp/new"
    finished = run([SH, "-c", script], Sandbox(), cwd="/")
    assert "mine" not in finished.stdout
    assert finished.stdout.endswith("x\n")
    assert not Path("/tmp/new").exists()


@needs_bubblewrap
def test_where_it_starts_and_its_program_may_lie_among_temporary_files(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "program"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\npwd; echo x > here\n")
    program.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    finished = run([str(program)], Sandbox(), cwd=folder)
    assert finished.stdout == f"{folder}\n"
    assert "Read-only" in finished.stderr
    assert run([str(program)], Sandbox(write=(str(folder),)), cwd=folder).code == 0
    assert (folder / "here").read_text() == "x\n"


@needs_bubblewrap
def test_it_sees_no_process_but_its_own() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        finished = run([SH, "-c", f"ls -d /proc/[0-9]* | wc -l; kill -9 {other.pid}"], Sandbox())
        assert other.poll() is None
        other.kill()
    assert int(finished.stdout) <= 5


@needs_bubblewrap
def test_no_right_of_root_is_left() -> None:
    seen = run(["/bin/grep", "-E", "^Cap(Eff|Prm|Bnd|Amb)|NoNewPrivs", "/proc/self/status"], Sandbox()).stdout
    assert {line.split()[1] for line in seen.splitlines()} == {"0000000000000000", "1"}


@needs_bubblewrap
def test_environment_holds_only_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "canary-0451")
    seen = run([SH, "-c", "env; cat /proc/*/environ"], Sandbox(), env={"GIVEN": "1"}).stdout
    assert "canary-0451" not in seen
    assert "GIVEN=1" in seen


@needs_bubblewrap
@pytest.mark.parametrize("left", ["setsid sleep {0} & sleep {0}", "(setsid sleep {0} &) ; setsid sleep {0} & exit 0"])
def test_nothing_outlives_it(left: str) -> None:
    mark = f"{os.getpid()}.77"

    async def hang() -> None:
        async with asyncio.timeout(0.5):
            await run_process([SH, "-c", left.format(mark)], sandbox=Sandbox())

    begun = time.monotonic()
    try:
        asyncio.run(hang())
    except TimeoutError:
        assert time.monotonic() - begun < 1.5
    found = subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


@needs_bubblewrap
def test_exit_code_and_output_come_through() -> None:
    assert run([SH, "-c", "cat; echo err >&2; exit 3"], Sandbox(), stdin="in") == Finished(3, "in", "err\n")


@needs_bubblewrap
def test_it_costs_at_most_forty_milliseconds() -> None:
    async def spent(sandbox: Sandbox | None) -> float:
        begun = time.perf_counter()
        await run_process(["/bin/true"], sandbox=sandbox)
        return time.perf_counter() - begun

    async def least(sandbox: Sandbox | None) -> float:
        """What others on the machine take of the time is in none of them all."""
        return min([await spent(sandbox) for _ in range(16)])

    assert asyncio.run(least(Sandbox())) - asyncio.run(least(None)) < 0.040


@pytest.fixture
def _nothing_tried() -> Iterator[None]:
    module._tried.cache_clear()
    yield
    module._tried.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is there on Linux only")
@pytest.mark.usefixtures("_nothing_tried")
def test_without_bubblewrap_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "bwrap is not on the PATH" in (Sandbox().missing() or "")
    with pytest.raises(ToolError, match="touch was not started: bubblewrap is not installed"):
        run(["/usr/bin/touch", str(tmp_path / "made")], Sandbox(write=(str(tmp_path),)))
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is there on Linux only")
@pytest.mark.usefixtures("_nothing_tried")
def test_bubblewrap_that_cannot_run_is_a_reason_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    setting = tmp_path / "max_user_namespaces"
    setting.write_text("0\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(module, "_KNOBS", {str(setting): "0"})
    assert Sandbox().missing() is None
    with pytest.raises(ToolError, match=r"cannot run here: No permissions to create.*max_user_namespaces"):
        run(["/usr/bin/touch", str(tmp_path / "made")], Sandbox(write=(str(tmp_path),)))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("path", ["/", "//", "/..", "relative", "", "/a\0b"])
def test_what_cannot_be_written_in_is_refused(path: str) -> None:
    with pytest.raises(ToolDefinitionError, match="whole path of a folder"):
        Sandbox(write=(path,))


@needs_bubblewrap
def test_a_folder_that_is_missing_is_said() -> None:
    finished = run(["/bin/true"], Sandbox(write=("/no/such/folder",)))
    assert finished.code != 0
    assert "/no/such/folder" in finished.stderr
