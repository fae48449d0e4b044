"""The background loop and the thread pool behind every sync door.

One event loop per process serves all sync calls, so that connections outlive a call. Blocking functions run
in threads of our own: the standard executor joins its threads at exit, where a function that hangs would keep
the process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from queue import SimpleQueue
from typing import Any, TypeVar

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.secrets import mask

T = TypeVar("T")

MAX_THREADS = 64
"""Blocking functions that run at once; further ones wait."""
MAX_ABANDONED = 32
"""Functions that may go on running after nobody waits for them any more."""
CANCEL_GRACE = 2.0
"""Seconds that a cancelled coroutine gets to end before it is left behind."""
INTERRUPT_WAIT = 5.0
"""Seconds that an interrupted sync call waits for its coroutine to end, which may take its own grace."""

_WAIT_SLICE = 0.5
"""Seconds after which a wait looks for an interrupt by itself: one that comes just before a thread goes to
sleep does not wake it, and on Windows none does."""


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs `coroutine` on the background loop and waits for its result, also where a loop is already running.

    An interrupt (Ctrl-C) while waiting cancels the coroutine, and is raised again once that has ended.

    Raises:
        RuntimeError: it was called on the background loop itself, which would wait for itself forever.
    """
    if not asyncio.iscoroutine(coroutine):
        raise TypeError(f"A coroutine is needed, not {coroutine!r}.")
    loop = _background.loop()
    if threading.current_thread() is _background.thread:
        coroutine.close()
        raise RuntimeError("A sync call on the very loop that serves sync calls. Await the async one.")
    tasks: list[asyncio.Task[T]] = []
    # A plain lock: an interrupt inside a Condition could leave it locked, and the loop waiting forever.
    ended = threading.Lock()
    ended.acquire()

    def start() -> None:
        task = loop.create_task(coroutine)
        tasks.append(task)
        task.add_done_callback(end)

    def end(task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # seen: asyncio would complain about that of an interrupted call
        ended.release()

    def cancel() -> None:
        if tasks:
            tasks[0].cancel()
        else:  # interrupted before it was handed over
            coroutine.close()
            ended.release()

    try:
        loop.call_soon_threadsafe(start, context=contextvars.copy_context())
        while not ended.acquire(timeout=_WAIT_SLICE):
            pass
    except BaseException:
        if not (tasks and tasks[0].done()):
            loop.call_soon_threadsafe(cancel)
            ended.acquire(timeout=INTERRUPT_WAIT)
        raise
    return tasks[0].result()


class _Background:
    """An event loop in a daemon thread, started when first asked for."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_serve, args=(loop,), name="gemmagraph-loop", daemon=True)
                thread.start()
                # Kept only once it runs: an interrupt may come at any of these steps.
                self.thread, self._loop = thread, loop
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            # A task that raises one of these stops the loop; its caller gets the exception, the others go on.
            continue


class Errand:
    """An awaitable on its way, in a task of its own: one that ignores being cancelled can be left behind."""

    __slots__ = ("_ended", "future")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self.future: asyncio.Future[Any] = loop.create_task(_contained(awaitable, self._ended))

    async def wait(self, timeout: float | None) -> bool:
        """Waits for its end, once; returns whether it came in time."""
        # `asyncio.wait` would take one more turn of the loop, and several times as long.
        timer = asyncio.get_running_loop().call_later(timeout, _wake, self._ended) if timeout else None
        try:
            await self._ended
        finally:
            if timer is not None:
                timer.cancel()
        return self.future.done()

    async def abandon(self) -> bool:
        """Cancels it and waits a moment for its end; returns whether it had been started."""
        self.future.cancel()
        await asyncio.wait((self.future,), timeout=CANCEL_GRACE)
        # Seen, as far as asyncio's "never retrieved" goes: nobody asks for this result any more.
        self.future.add_done_callback(lambda task: task.cancelled() or task.exception())
        return True


async def _contained(awaitable: Awaitable[T], ended: asyncio.Future[None]) -> T:
    try:
        return await awaitable
    except SystemExit as exc:
        # A task that lets it through would stop the event loop, and with it everyone else's work.
        raise RuntimeError(f"raised {exc!r}") from exc
    finally:
        _wake(ended)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Job:
    """A blocking function on its way through a thread.

    Whoever waits for `future` and gives up must call `abandon`; cancelling the future stops nothing.
    """

    __slots__ = ("_call", "_pool", "_state", "future")

    def __init__(self, pool: _Pool, call: Callable[[], Any]) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pool = pool
        self._call = call
        self._state = "queued"

    async def wait(self, timeout: float | None) -> bool:
        """Waits for its end; returns whether it came in time."""
        done, _ = await asyncio.wait((self.future,), timeout=timeout)
        return bool(done)

    async def abandon(self) -> bool:
        """Says that nobody waits any more; returns whether the function had been started.

        One that was not is never run; one that was goes on, and is counted until it ends.
        """
        if self.drop():
            return False
        with self._pool.lock:
            if self._state == "running":
                self._state = "abandoned"
                self._pool.abandoned += 1
        with contextlib.suppress(RuntimeError):  # no further thread: then the waiting jobs wait on
            self._pool.grow()
        return True

    def drop(self) -> bool:
        """Takes it back if it was not started yet; returns whether it was taken back."""
        with self._pool.lock:
            if self._state != "queued":
                return False
            self._state = "dropped"
        self.future.cancel()
        return True

    def run(self) -> None:
        """Runs the function, in one of the pool's threads."""
        with self._pool.lock:
            if self._state == "dropped":
                self._pool.free += 1
                return
            self._state = "running"
        result: object = None
        error: BaseException | None = None
        try:
            result = self._call()
        except StopIteration as exc:
            # A future refuses it, because raised in a coroutine it would mean the coroutine's end.
            error = RuntimeError(f"raised {exc!r}")
            error.__cause__ = exc
        except BaseException as exc:  # noqa: BLE001 - whatever it is belongs to the caller, and the thread lives on
            error = exc
        with self._pool.lock:
            if self._state == "abandoned":
                self._pool.abandoned -= 1
            self._state = "ended"
            # Before the result is out, or whoever waits for it might have a further thread made.
            self._pool.free += 1
        try:
            self.future.get_loop().call_soon_threadsafe(self._deliver, result, error)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody is left to hear it

    def _deliver(self, result: object, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
            self.future.exception()  # seen: if the caller is gone, asyncio would complain that nobody asked


class _Pool:
    """Daemon threads, made when none is idle, kept for the next function."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.abandoned = 0
        self.free = 0
        """Threads without a job, less the jobs that wait for one; below zero, jobs wait."""
        self._threads = 0
        self._jobs: SimpleQueue[Job] = SimpleQueue()

    def submit(self, call: Callable[[], Any]) -> Job:
        job = Job(self, call)
        with self.lock:
            if self.abandoned >= MAX_ABANDONED:
                raise ToolError(
                    f"The call was not started: {self.abandoned} earlier calls were given up and still run."
                )
            self.free -= 1
        self._jobs.put(job)
        try:
            self.grow()
        except RuntimeError as exc:
            job.drop()
            raise ToolError("The call was not started: this process gets no further thread.") from exc
        return job

    def grow(self) -> None:
        """Makes a thread if a job waits for one and there may be one more."""
        with self.lock:
            full = self._threads - self.abandoned >= MAX_THREADS or self.abandoned >= MAX_ABANDONED
            if self.free >= 0 or full:
                return
            self._threads += 1
            self.free += 1
        try:
            threading.Thread(target=self._work, name="gemmagraph-tool", daemon=True).start()
        except RuntimeError:
            with self.lock:
                self._threads -= 1
                self.free -= 1
            raise

    def _work(self) -> None:
        while True:
            self._jobs.get().run()


def submit(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job:
    """Starts a blocking function in a thread, with the caller's context variables.

    Raises:
        ToolError: too many abandoned functions are still running.
    """
    context = contextvars.copy_context()
    return _pool.submit(lambda: context.run(function, *args, **kwargs))


async def in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """The result of a blocking function, run in a thread so that the event loop goes on.

    When the caller is cancelled, a function that is running goes on, abandoned and counted.

    Raises:
        ToolError: too many abandoned functions are still running.
    """
    job = submit(function, *args, **kwargs)
    try:
        await job.wait(None)
    except asyncio.CancelledError:
        await job.abandon()
        raise
    result: T = job.future.result()
    return result


async def close_all(closes: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Calls one after the other, also where one before it has failed.

    Raises:
        Exception: the first failure, the others as its notes.
    """
    failures: list[Exception] = []
    for close in closes:
        try:
            await close()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the others are closed too
            failures.append(exc)
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"Another could not be closed either: {type(other).__name__}: {mask(str(other))}")
        raise failures[0]


def abandoned() -> int:
    """How many functions are still running that nobody waits for."""
    return _pool.abandoned


def _forget() -> None:
    """A forked child has none of its parent's threads, and may have inherited a locked lock."""
    global _background, _pool
    _background = _Background()
    _pool = _Pool()


_background = _Background()
_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
