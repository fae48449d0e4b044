"""Real commands, run within limits: what they are given, what is kept of their output, and that none is left over."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards import processes
from gemmagraph.tools.guards.processes import Finished, ProcessLimits, find_program, run_process
from gemmagraph.tools.secrets import remember

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SH = "/bin/sh"
WAIT = 10.0
_numbers = count(1)


def run(coroutine: Coroutine[Any, Any, Finished], timeout: float = WAIT) -> Finished:
    async def bounded() -> Finished:
        async with asyncio.timeout(timeout):
            return await coroutine

    return asyncio.run(bounded())


def python(code: str, *arguments: str, **said: Any) -> Coroutine[Any, Any, Finished]:
    return run_process([sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments], **said)


@pytest.fixture
def mark() -> Iterator[str]:
    """A number of seconds to sleep that no other process has among its arguments."""
    number = f"{os.getpid()}.{next(_numbers):04}1"
    yield number
    for escaped in alive(number):  # only after a test that failed
        os.kill(escaped, signal.SIGKILL)


def alive(mark: str) -> list[int]:
    """The processes that have `mark` among their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def gone(mark: str, within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while alive(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def came(mark: str, within: float = WAIT) -> bool:
    end = time.monotonic() + within
    while not alive(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# --- what a command is given


def test_environment_holds_only_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MY_API_KEY", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD_X", "PYTHONPATH", "BASH_ENV", "IFS"):
        monkeypatch.setenv(name, "canary-0451")
    monkeypatch.setenv("LANG", "C.UTF-8")
    finished = run(run_process(["/usr/bin/env"], env={"GIVEN": "a b\nc=é"}))
    assert "canary-0451" not in finished.stdout
    kept = {line.partition("=")[0] for line in finished.stdout.splitlines()}
    assert kept == {"PATH", "LANG", "HOME", "GIVEN", "c"}
    assert "GIVEN=a b\nc=é\n" in finished.stdout


def test_nothing_of_the_application_is_in_the_processes_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "canary-0451")
    walk = 'p=$PPID; for i in 1 2; do cat /proc/$p/environ; p=$(cut -d" " -f4 /proc/$p/stat); done; echo read'
    finished = run(run_process([SH, "-c", walk]))
    assert "read" in finished.stdout
    assert "canary-0451" not in finished.stdout


def test_files_of_the_application_are_not_open_in_a_command(tmp_path: Path) -> None:
    with open(tmp_path / "canary", "w") as file:
        os.set_inheritable(file.fileno(), True)
        finished = run(
            python(
                "import os; print(sorted(os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)));"
                "print(len(os.listdir('/proc/self/fd')))"
            )
        )
    assert "canary" not in finished.stdout
    assert finished.stdout.splitlines()[-1] == "4", "the fourth is the listed folder"


def test_a_text_is_one_argument_and_no_shell_reads_it() -> None:
    said = ["a b", "$(touch x)", "`id`", "; rm", "*", "~", "", "é\n", "'\""]
    finished = run(python("import sys; print(ascii(sys.argv[1:]))", *said))
    assert finished.stdout == f"{said!a}\n"


def test_no_terminal_and_a_session_of_its_own() -> None:
    code = "import os; print(os.getsid(0) == os.getpid() == os.getpgid(0)); open('/dev/tty')"
    finished = run(python(code))
    assert finished.stdout == "True\n"
    assert finished.code == 1
    assert "/dev/tty" in finished.stderr


def test_signals_are_as_usual_for_a_command() -> None:
    assert run(run_process([SH, "-c", "yes | head -c 1; exit 5"])).code == 5
    ignored = run(run_process(["/bin/grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]))
    assert {line.split()[1] for line in ignored.stdout.splitlines()} == {"0000000000000000"}


def test_it_starts_in_the_folder_that_is_said(tmp_path: Path) -> None:
    assert run(run_process([SH, "-c", "pwd -P"], cwd=tmp_path)).stdout == f"{tmp_path.resolve()}\n"


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_all_of_stdin_arrives(size: int) -> None:
    assert run(run_process(["/usr/bin/wc", "-c"], stdin="x" * size)).stdout.strip() == str(size)


def test_stdin_need_not_be_read() -> None:
    assert run(run_process(["/bin/true"], stdin="x" * 3_000_000)).code == 0
    assert run(run_process([SH, "-c", "exec <&-; sleep 0.1; exit 4"], stdin="x" * 3_000_000)).code == 4


# --- what comes of it


def test_exit_code_and_both_outputs_come_back() -> None:
    finished = run(run_process([SH, "-c", "echo out; echo err >&2; exit 3"]))
    assert finished == Finished(3, "out\n", "err\n")


def test_a_signal_is_a_negative_code() -> None:
    assert run(run_process([SH, "-c", "kill -SEGV $$"])).code == -signal.SIGSEGV


@pytest.mark.parametrize(
    ("program", "said"),
    [("/no/such/program", "No such file"), ("/etc/passwd", "Permission denied"), ("/", "Permission denied")],
)
def test_what_cannot_be_started_is_said(program: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        run(run_process([program]))


def test_a_missing_folder_is_said() -> None:
    with pytest.raises(ToolError, match="No such file or directory: /no/such/folder"):
        run(run_process(["/bin/true"], cwd="/no/such/folder"))


def test_a_relative_program_is_refused() -> None:
    with pytest.raises(ValueError, match="whole path"):
        run(run_process(["true"]))
    assert find_program("sh") in ("/bin/sh", "/usr/bin/sh")
    assert find_program("./sh") is find_program("no-such-program") is None


def test_nul_is_refused() -> None:
    with pytest.raises(ToolError, match="NUL"):
        run(run_process(["/bin/echo", "a\0b"]))


def test_a_gigabyte_of_output_is_never_stored() -> None:
    asyncio.run(run_process(["/bin/true"]))  # the launcher is not what is measured
    tracemalloc.start()
    try:
        command = [SH, "-c", "echo first; head -c 1000000000 /dev/zero; echo; echo last"]
        finished = run(run_process(command, limits=ProcessLimits(output=100_000)), timeout=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert finished.code == 0
    assert finished.cut > 999_000_000
    assert finished.stdout.startswith("first\n")
    assert finished.stdout.endswith("\nlast\n")
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("head", "0123"), ("tail", "6789"), ("ends", "01\n[... 6 bytes left out ...]\n89")],
)
@pytest.mark.parametrize("how", ["printf 0123456789", "for i in 0 1 2 3 4 5 6 7 8 9; do printf $i; sleep 0.01; done"])
def test_what_is_kept_of_a_long_output(keep: Any, kept: str, how: str) -> None:
    finished = run(run_process([SH, "-c", how], limits=ProcessLimits(output=4, keep=keep)))
    assert (finished.stdout, finished.cut) == (kept, 6)


@pytest.mark.parametrize(
    ("keep", "starts"), [("head", range(355, 405)), ("tail", range(50)), ("ends", range(155, 250))]
)
def test_no_half_of_a_secret_stays_where_the_output_is_cut(keep: Any, starts: range) -> None:
    secret = "c0mmand-0utput-0f-forty-characters-12345"
    remember("said", secret)

    async def all_offsets() -> list[str]:
        limits = ProcessLimits(output=400, keep=keep)
        texts = (f"{'a' * start}{secret}{'b' * (405 - start)}" for start in starts)
        runs = [run_process([SH, "-c", f"printf %s {text}"], limits=limits) for text in texts]
        return [finished.stdout for finished in await asyncio.gather(*runs)]

    for said in asyncio.run(all_offsets()):
        assert len(said) >= 350
        assert not any(secret[start : start + 8] in said for start in range(len(secret) - 7))


def test_a_short_output_is_kept_whole_where_halves_meet_in_a_character() -> None:
    assert run(run_process(["/usr/bin/printf", "aé€"], limits=ProcessLimits(output=6))).stdout == "aé€"


# --- limits


def test_limits_are_set() -> None:
    code = """
        import resource as r
        print([r.getrlimit(getattr(r, f'RLIMIT_{n}')) for n in ('CPU', 'DATA', 'AS', 'FSIZE', 'NOFILE', 'CORE')])
    """
    limits = ProcessLimits(cpu=7, memory=1 << 29, file_size=5000, files=50)
    seen = run(python(code, limits=limits)).stdout
    assert seen == f"{[(7, 8), *[(n, n) for n in (1 << 29, 1 << 32, 5000, 50, 0)]]}\n"


def test_too_much_memory_is_not_given() -> None:
    finished = run(python("x = bytearray(1 << 30)", limits=ProcessLimits(memory=1 << 28)))
    assert "MemoryError" in finished.stderr


def test_too_much_computing_is_ended() -> None:
    assert run(python("while True: pass", limits=ProcessLimits(cpu=1))).code == -signal.SIGXCPU


def test_too_large_a_file_is_ended(tmp_path: Path) -> None:
    finished = run(run_process(["/usr/bin/head", "-c", "100000", "/dev/zero"], limits=ProcessLimits(file_size=10)))
    assert finished.code == 0, "a pipe is no file"
    command = [SH, "-c", "exec head -c 100000 /dev/zero > big"]
    finished = run(run_process(command, cwd=tmp_path, limits=ProcessLimits(file_size=5000)))
    assert finished.code == -signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size == 5000


BOMB = "f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; sleep %s; }; f 7; wait"
"""255 processes, if nobody stops it: this machine has others to serve."""
SCATTERED = """
    import os, sys, time
    for _ in range(8):
        if os.fork() == 0:
            os.setsid()
    time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize("bomb", ["in one session", "scattered over sessions"])
def test_a_fork_bomb_is_ended(bomb: str, mark: str) -> None:
    limits = ProcessLimits(processes=30)
    command = run_process([SH, "-c", BOMB % mark], limits=limits)
    if bomb != "in one session":
        command.close()
        command = python(SCATTERED, mark, limits=limits)
    finished = run(command)
    assert finished.stopped == "it had more than 30 processes"
    assert finished.code == -signal.SIGKILL
    assert not alive(mark)


NOT_ROOT = """
threads = threads_of_user()
if threads is None:
    sys.exit("uncountable")
limit(resource.RLIMIT_NPROC, threads + 20)
made = 0
with suppress(BlockingIOError):
    while made < 200:
        if os.fork() == 0:
            time.sleep(60)
        made += 1
print(made)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user, which only root can")
def test_the_system_bounds_the_processes_of_who_is_not_root() -> None:
    # Another user may not be able to read this package, nor to run this interpreter.
    lines = Path(processes.__file__).with_name("launcher.py").read_text("utf-8").partition("if __name__ ==")[0]
    other = [find_program("setpriv") or "", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
    if not all(map(os.path.exists, (other[0], other[-1]))):
        pytest.skip("setpriv or /usr/bin/python3 is not installed")
    finished = run(run_process([*other, "-I", "-S", "-c", lines + NOT_ROOT]))
    if finished.stderr == "uncountable\n":
        pytest.skip("in a container the system's count cannot be known, and is not used")
    assert 0 < int(finished.stdout) <= 20


# --- none is left over

DAEMON = """
    import os, signal, sys, time
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    for _ in range(3):
        if os.fork(): os._exit(0)
        os.setsid()
        os.chdir('/')
    os.closerange(0, 100)
    os.execve('/bin/sleep', ['sleep', sys.argv[1]], {})
"""
ORPHANS = {
    "a child": "sleep {0} & ",
    "a session of its own": "setsid sleep {0} & ",
    "a double fork": "(sleep {0} &) ; (setsid sleep {0} &) ; ",
    "deaf to hangups": "nohup sleep {0} >/dev/null 2>&1 & ",
    "without an environment": "(env -i setsid -f sleep {0}) ; ",
    "a daemon that ignores signals": "{python} -I -S -c '{daemon}' {0} ; ",
    "stopped": "sleep {0} & kill -STOP $! ; ",
    "deaf to being asked": "(trap '' TERM INT HUP; sleep {0}; sleep {0}) & ",
    "many": "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sleep {0} & (setsid sleep {0} &) ; done ; ",
    "deep": 'sh -c \'sh -c "setsid sh -c \\"sleep {0} & sleep {0}\\" &" & sleep {0}\' & ',
}


def orphaning(orphan: str, mark: str, then: str) -> list[str]:
    daemon = textwrap.dedent(DAEMON).replace("'", '"')
    start = ORPHANS[orphan].format(mark, python=sys.executable, daemon=daemon)
    return [SH, "-c", f"{start} {then}"]


@pytest.mark.parametrize("orphan", ORPHANS)
def test_what_a_command_leaves_behind_is_ended_with_it(orphan: str, mark: str) -> None:
    wait = f"while ! pgrep -f 'sleep {mark}' >/dev/null; do :; done; echo started"
    finished = run(run_process(orphaning(orphan, mark, wait)))
    assert finished.stdout == "started\n"
    assert not alive(mark)


@pytest.mark.parametrize("orphan", ORPHANS)
def test_what_a_cancelled_command_has_started_is_ended_with_it(orphan: str, mark: str) -> None:
    async def cancel() -> float:
        task = asyncio.create_task(run_process(orphaning(orphan, mark, f"exec sleep {mark}")))
        assert await asyncio.to_thread(came, f"sleep\0{mark}")
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begun

    assert asyncio.run(cancel()) < 1.0
    assert gone(mark, within=1.0)


def test_a_command_that_hangs_is_ended_in_time(mark: str) -> None:
    async def hang() -> None:
        async with asyncio.timeout(0.3):
            await run_process([SH, "-c", f"trap '' TERM INT HUP; sleep {mark}; sleep {mark}"])

    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(hang())
    assert time.monotonic() - begun < 1.3
    assert gone(mark, within=1.0)


def test_a_command_that_ends_its_supervisor_is_ended_too(mark: str) -> None:
    escape = f"(setsid sleep {mark} &) ; setsid sleep {mark} & kill -9 $PPID; sleep {mark}"
    with pytest.raises(ToolError, match="unknown"):
        run(run_process([SH, "-c", escape]))
    assert gone(mark)


def test_commands_go_on_after_the_launcher_was_ended() -> None:
    async def supervisor_of_the_supervisor() -> int:
        finished = await run_process([SH, "-c", "cut -d' ' -f4 /proc/$PPID/stat"])
        return int(finished.stdout)

    launcher = asyncio.run(supervisor_of_the_supervisor())
    os.kill(launcher, signal.SIGKILL)
    assert asyncio.run(supervisor_of_the_supervisor()) != launcher


def application(mark: str, then: str) -> list[str]:
    code = f"""
        import asyncio, os, signal, sys
        from gemmagraph.tools.guards.processes import run_process
        async def main():
            started = asyncio.create_task(run_process(["/bin/sh", "-c", "(setsid sleep {mark} &) ; sleep {mark}"]))
            print((await run_process(["/bin/sh", "-c", "cut -d' ' -f4 /proc/$PPID/stat"])).stdout, flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            {then}
        asyncio.run(main())
    """
    return [sys.executable, "-c", textwrap.dedent(code)]


@pytest.mark.parametrize("then", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "return", "1 / 0"])
def test_commands_and_launcher_end_with_the_application(then: str, mark: str) -> None:
    with subprocess.Popen(
        application(mark, then), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        launcher = int(process.stdout.readline())
        assert came(f"sleep\0{mark}")
        process.communicate(b"\n", timeout=WAIT)
    assert gone(f"sleep\0{mark}")
    end = time.monotonic() + WAIT
    while Path(f"/proc/{launcher}").exists() and b"launcher" in Path(f"/proc/{launcher}/cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_forked_child_runs_commands_of_its_own() -> None:
    asyncio.run(run_process(["/bin/true"]))
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            os._exit(asyncio.run(run_process([SH, "-c", "exit 7"])).code)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert asyncio.run(run_process([SH, "-c", "exit 8"])).code == 8


# --- many at once, and nothing kept


def test_commands_run_at_once_on_several_loops() -> None:
    codes: list[int] = []

    async def many(first: int) -> None:
        commands = (run_process([SH, "-c", f"sleep 0.05; exit {first + n}"]) for n in range(10))
        codes.extend(finished.code for finished in await asyncio.gather(*commands))

    threads = [threading.Thread(target=lambda first=first: asyncio.run(many(first))) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(codes) == list(range(30))


def test_no_file_and_no_process_is_kept_open() -> None:
    async def some() -> None:
        for _ in range(5):
            await run_process(["/bin/cat"], stdin="x" * 100_000)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await run_process(["/bin/sleep", "60"], stdin="x" * 100_000)
            with suppress(ToolError):
                await run_process(["/no/such/program"])

    asyncio.run(some())
    before = set(os.listdir("/proc/self/fd")), children()
    asyncio.run(some())
    assert (set(os.listdir("/proc/self/fd")), children()) == before


def children() -> set[str]:
    """The processes that this one has started, those that have ended and nobody has asked for among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_the_event_loop_goes_on_while_output_pours_in() -> None:
    async def beats() -> int:
        task = asyncio.create_task(run_process(["/usr/bin/head", "-c", "300000000", "/dev/zero"]))
        beats = 0
        while not task.done():
            await asyncio.sleep(0)
            beats += 1
        return beats

    assert asyncio.run(beats()) > 1000
