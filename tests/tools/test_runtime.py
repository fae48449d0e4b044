"""The background loop behind sync calls, and the threads behind blocking functions."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from gemmagraph.tools import ToolError, in_thread, run_sync, runtime

LONG = 10.0
"""Seconds that a test waits for what should come at once."""


async def thread_name() -> str:
    return threading.current_thread().name


def test_coroutine_runs_on_one_background_loop() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run_sync(thread_name()) == "gemmagraph-loop"
    assert run_sync(loop()) is run_sync(loop())


def test_sync_call_works_where_a_loop_is_running() -> None:
    async def notebook_cell() -> str:
        return run_sync(thread_name())

    assert asyncio.run(notebook_cell()) == "gemmagraph-loop"


def test_many_threads_share_the_loop() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(run_sync(thread_name()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)

    assert found == ["gemmagraph-loop"] * 20


def test_sync_call_on_the_background_loop_itself_is_refused() -> None:
    async def outer() -> str:
        return run_sync(thread_name())

    with pytest.raises(RuntimeError, match="Await the async one"):
        run_sync(outer())


def test_error_of_the_coroutine_is_raised_to_the_caller() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        run_sync(fail())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_loop_outlives_a_coroutine_that_exits(error: BaseException) -> None:
    async def leave() -> None:
        raise error

    with pytest.raises(type(error)):
        run_sync(leave())
    assert run_sync(thread_name()) == "gemmagraph-loop"


def test_what_is_no_coroutine_is_refused() -> None:
    with pytest.raises(TypeError, match="coroutine"):
        run_sync(thread_name)  # type: ignore[arg-type]  # the mistake in question


def test_coroutine_sees_the_callers_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")

    async def read() -> str:
        return variable.get()

    assert run_sync(read()) == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_interrupt_cancels_the_coroutine_and_is_raised_when_that_has_ended() -> None:
    steps: list[str] = []

    async def work() -> None:
        main = threading.main_thread().ident
        assert main is not None
        try:
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_sync(work())
    assert steps == ["cleaned up"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_interrupt_at_any_moment_leaves_nothing_running() -> None:
    """Interrupts sent at many different steps of a sync call; each ends the call, and no task is left."""
    program = """
import asyncio, queue, random, signal, threading
from gemmagraph.tools import run_sync

main = threading.main_thread().ident
ready = queue.SimpleQueue()

def interrupt():
    while ready.get():
        threading.Event().wait(random.random() / 5_000)
        signal.pthread_kill(main, signal.SIGINT)

async def tasks():
    return len(asyncio.all_tasks()) - 1

threading.Thread(target=interrupt, daemon=True).start()
run_sync(tasks())
for _ in range(300):
    try:
        ready.put(True)
        run_sync(asyncio.sleep(60))
    except KeyboardInterrupt:
        pass
print(run_sync(tasks()))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_has_a_loop_and_threads_of_its_own() -> None:
    async def both() -> tuple[str, str]:
        return await thread_name(), await in_thread(lambda: threading.current_thread().name)

    expected = run_sync(both())
    with warnings.catch_warnings():
        # Python 3.12 and later warn of forks beside threads, which is what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(int(LONG))
        os._exit(0 if run_sync(both()) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert run_sync(both()) == expected


def test_blocking_functions_run_at_the_same_time_and_the_loop_goes_on() -> None:
    barrier = threading.Barrier(10 + 1)

    async def main() -> list[int]:
        calls = [asyncio.create_task(in_thread(barrier.wait, LONG)) for _ in range(10)]
        # Comes through only if all ten are waiting in threads and this loop is not.
        return [await in_thread(barrier.wait, LONG), *(await asyncio.gather(*calls))]

    assert sorted(asyncio.run(main())) == list(range(11))


def test_thread_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())

    async def main() -> set[int]:
        return {await in_thread(threading.get_ident) for _ in range(100)}

    assert len(asyncio.run(main())) == 1


def test_no_more_than_the_cap_run_at_once_and_all_come_to_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())
    monkeypatch.setattr(runtime, "MAX_THREADS", 3)
    lock, running, most = threading.Lock(), 0, 0
    third = threading.Barrier(3)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        third.wait(LONG)
        with lock:
            running -= 1

    async def main() -> None:
        await asyncio.gather(*(in_thread(work) for _ in range(12)))

    asyncio.run(main())
    assert most == 3


def test_function_sees_the_callers_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main() -> str:
        variable.set("mine")
        return await in_thread(variable.get)

    assert asyncio.run(main()) == "mine"


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)], ids=["error", "exit"])
def test_error_of_the_function_is_raised_and_the_thread_lives_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def main() -> str:
        with pytest.raises(type(error)):
            await in_thread(fail)
        return await in_thread(lambda: "still here")

    assert asyncio.run(main()) == "still here"


def test_stop_iteration_does_not_end_the_caller() -> None:
    async def main() -> None:
        await in_thread(next, iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(main())


def test_keywords_reach_the_function_whatever_they_are_called() -> None:
    def probe(**keywords: Any) -> Any:
        return keywords

    async def main() -> Any:
        return await in_thread(probe, function=1, call=2, self=3)

    assert asyncio.run(main()) == {"function": 1, "call": 2, "self": 3}


def test_cancelled_caller_leaves_the_function_behind_counted(
    gate: threading.Event, all_ended: Callable[[], None]
) -> None:
    started = threading.Event()

    def hang() -> None:
        started.set()
        gate.wait(LONG)

    async def main() -> int:
        call = asyncio.create_task(in_thread(hang))
        await in_thread(started.wait, LONG)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return runtime.abandoned()

    assert asyncio.run(main()) == 1
    gate.set()
    all_ended()


def test_past_the_cap_of_abandoned_functions_no_further_is_started(
    gate: threading.Event, all_ended: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MAX_ABANDONED", 2)

    async def main() -> None:
        started = threading.Semaphore(0)

        def hang() -> None:
            started.release()
            gate.wait(LONG)

        for _ in range(2):
            call = asyncio.create_task(in_thread(hang))
            assert await in_thread(started.acquire, True, LONG)
            call.cancel()
            await asyncio.wait((call,))
        with pytest.raises(ToolError, match="not started: 2 earlier calls"):
            await in_thread(print)
        gate.set()
        await asyncio.to_thread(all_ended)
        assert await in_thread(lambda: "again") == "again"

    asyncio.run(asyncio.wait_for(main(), LONG))


def test_waiting_function_is_never_run_if_its_caller_gives_up(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())
    monkeypatch.setattr(runtime, "MAX_THREADS", 1)
    ran: list[str] = []

    async def main() -> None:
        first = asyncio.create_task(in_thread(gate.wait, LONG))
        second = asyncio.create_task(in_thread(ran.append, "second"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((second,))
        gate.set()
        await first
        await in_thread(ran.append, "third")

    asyncio.run(main())
    assert ran == ["third"]


def test_abandoned_function_makes_room_for_a_waiting_one(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())
    monkeypatch.setattr(runtime, "MAX_THREADS", 1)

    async def main() -> str:
        started = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hang() -> None:
            loop.call_soon_threadsafe(started.set)
            gate.wait(LONG)

        first = asyncio.create_task(in_thread(hang))
        await started.wait()
        second = asyncio.create_task(in_thread(lambda: "came through"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(asyncio.wait_for(main(), LONG)) == "came through"


def test_process_that_gets_no_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_pool", runtime._Pool())

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> str:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(ToolError, match="no further thread"):
                await in_thread(print)
        return await in_thread(lambda: "again")

    assert asyncio.run(main()) == "again"


HANGING = """
import asyncio, sys, threading
from gemmagraph.tools import run_sync, tool

@tool(timeout=0.05)
def hang() -> None:
    threading.Event().wait()

@tool(timeout=0.05)
async def hang_too() -> None:
    await asyncio.Event().wait()

async def main():
    tasks.append(asyncio.create_task(asyncio.Event().wait()))
    return [(await made.run({})).status for made in (hang, hang_too)]

tasks = []
print(run_sync(main()))
"""


def test_function_that_hangs_does_not_keep_the_process_alive() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", HANGING],
        capture_output=True,
        text=True,
        timeout=6 * LONG,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == ("['timeout', 'timeout']\n", "")
