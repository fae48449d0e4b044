"""One run at a time on each thread, also from several event loops."""

import asyncio
import threading

import pytest

from gemmagraph.threads import Threads

PATIENCE = 20


def test_those_that_wait_come_in_their_order():
    threads = Threads()
    order = []

    async def run(name):
        async with threads.turn("t"):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    async def all_of_them():
        await asyncio.gather(*(run(name) for name in "abcd"))

    asyncio.run(asyncio.wait_for(all_of_them(), PATIENCE))
    assert "".join(order) == "aabbccdd"


def test_loops_in_several_threads_take_turns():
    threads = Threads()
    inside = []
    most = []

    async def run():
        for _ in range(50):
            async with threads.turn("t"):
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

    workers = [threading.Thread(target=lambda: asyncio.run(asyncio.wait_for(run(), PATIENCE))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert (len(most), max(most)) == (200, 1)


def test_an_error_or_a_cancellation_passes_the_turn_on():
    threads = Threads()

    async def fail():
        async with threads.turn("t"):
            await asyncio.sleep(0)
            raise RuntimeError

    async def wait():
        async with threads.turn("t"):
            return "in"

    async def go():
        failing = asyncio.create_task(fail())
        given_up, waiting = (asyncio.create_task(wait()) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(RuntimeError):
            await failing
        return await waiting

    assert asyncio.run(asyncio.wait_for(go(), PATIENCE)) == "in"


def test_one_that_is_cancelled_in_the_moment_it_is_let_in_passes_the_turn_on():
    threads = Threads()

    async def go():
        holding = asyncio.Event()

        async def hold():
            async with threads.turn("t"):
                await holding.wait()

        async def wait():
            async with threads.turn("t"):
                return "in"

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        first, second = (asyncio.create_task(wait()) for _ in range(2))
        await asyncio.sleep(0)
        holding.set()
        await holder
        first.cancel()
        return await second

    assert asyncio.run(asyncio.wait_for(go(), PATIENCE)) == "in"


def test_a_run_that_died_with_its_loop_holds_nobody_up():
    threads = Threads()
    loop = asyncio.new_event_loop()

    async def hold():
        async with threads.turn("t"):
            await asyncio.Event().wait()

    dead = loop.create_task(hold())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def wait():
        async with threads.turn("t"):
            return "in"

    assert asyncio.run(asyncio.wait_for(wait(), PATIENCE)) == "in"
    dead._log_destroy_pending = False  # its loop is gone, as asyncio would complain


def test_without_a_thread_nobody_waits_and_nothing_is_kept():
    threads = Threads()

    async def both():
        async with threads.turn(None), threads.turn(None), threads.turn("a"), threads.turn("b"):
            return "in"

    assert asyncio.run(asyncio.wait_for(both(), PATIENCE)) == "in"
    assert threads._queues == {}
