"""Who may ask a server next."""

import asyncio
import threading
import time

import pytest

from gemmagraph.backends.network.queue import Queue, queue_for
from gemmagraph.errors import BackendTimeout


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_those_who_wait_come_in_the_order_they_came():
    async def run():
        queue, order = Queue(), []

        async def one(number):
            async with queue.place("The server"):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.wait_for(asyncio.gather(*map(one, range(20))), 5)
        return order, queue.full

    assert asyncio.run(run()) == (list(range(20)), False)


@pytest.mark.parametrize("places", [1, 3])
def test_no_more_are_served_than_there_are_places(places):
    async def run():
        queue, at_once, most = Queue(places), 0, 0

        async def one():
            nonlocal at_once, most
            async with queue.place("The server"):
                at_once += 1
                most = max(most, at_once)
                await settle()
                at_once -= 1

        await asyncio.wait_for(asyncio.gather(*(one() for _ in range(10))), 5)
        return most

    assert asyncio.run(run()) == places


def test_who_is_cancelled_while_waiting_leaves_the_queue():
    async def run():
        queue, order = Queue(), []

        async def one(number):
            async with queue.place("The server"):
                order.append(number)

        async with queue.place("The server"):
            tasks = [asyncio.create_task(one(number)) for number in range(3)]
            await settle()
            assert queue.waiting == 3
            tasks[0].cancel()
            await settle()
            assert queue.waiting == 2
        await asyncio.wait(tasks, timeout=5)
        return order, tasks[0].cancelled(), queue.full

    assert asyncio.run(run()) == ([1, 2], True, False)


def test_who_is_cancelled_just_when_the_place_comes_passes_it_on():
    async def run():
        queue, order = Queue(), []

        async def one(number):
            async with queue.place("The server"):
                order.append(number)

        async with queue.place("The server"):
            tasks = [asyncio.create_task(one(number)) for number in range(2)]
            await settle()
        tasks[0].cancel()  # its place is on the way, and it has not run since
        await asyncio.wait(tasks, timeout=5)
        return order, queue.full

    assert asyncio.run(run()) == ([1], False)


def test_an_error_inside_gives_the_place_back():
    async def run():
        queue = Queue()
        with pytest.raises(ZeroDivisionError):
            async with queue.place("The server"):
                _ = 1 / 0
        return queue.full

    assert asyncio.run(run()) is False


def test_event_loops_in_several_threads_share_the_places():
    queue, lock, at_once, most = Queue(), threading.Lock(), 0, 0

    async def one():
        nonlocal at_once, most
        async with queue.place("The server"):
            with lock:
                at_once += 1
                most = max(most, at_once)
            await settle()
            with lock:
                at_once -= 1

    def loop():
        async def run():
            await asyncio.wait_for(asyncio.gather(*(one() for _ in range(25))), 10)

        asyncio.run(run())

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (most, at_once, queue.full) == (1, 0, False)


def test_a_waiter_whose_event_loop_is_gone_is_passed_over():
    queue = Queue()

    async def wait():
        async with queue.place("The server"):
            raise AssertionError("its loop is gone")

    async def hold():
        async with queue.place("The server"):
            gone = asyncio.new_event_loop()
            waiting = wait()
            task = gone.create_task(waiting)
            gone.call_soon(gone.stop)
            await asyncio.to_thread(gone.run_forever)
            assert queue.waiting == 1
            gone.close()
        waiting.close()
        task._log_destroy_pending = False
        return queue.full

    assert asyncio.run(hold()) is False


def test_a_place_may_be_given_back_early_from_any_thread_and_only_once():
    async def run():
        queue, got = Queue(), asyncio.Event()

        async def one():
            async with queue.place("The server"):
                got.set()
                await asyncio.sleep(0.05)

        async with queue.place("The server") as place:
            waiting = asyncio.create_task(one())
            await settle()
            await asyncio.to_thread(place.leave)
            await asyncio.wait_for(got.wait(), 5)
            place.leave()
            assert queue.full, "that was not its own place any more"
        assert queue.full
        await waiting
        return queue.full

    assert asyncio.run(run()) is False


def test_who_waits_too_long_is_told_who_has_the_place_and_leaves_the_queue():
    async def run():
        queue = Queue()
        async with queue.place("The server"):
            with pytest.raises(BackendTimeout) as caught:
                async with queue.place("The server", 0.05):
                    pass
            return caught.value, queue.waiting

    error, waiting = asyncio.run(run())
    assert waiting == 0
    assert "The server is busy: for 0.05 s it took no further request" in error.message
    assert "in thread 'MainThread'" in error.message
    assert "close its stream" in error.hint


def test_who_waits_is_patient_as_long_as_others_get_their_turn():
    async def run():
        queue = Queue()

        async def one(seconds, patience=10):
            async with queue.place("The server", patience):
                await asyncio.sleep(seconds)

        before = [asyncio.create_task(one(0.1)) for _ in range(4)]
        await settle()
        await asyncio.wait_for(one(0, patience=0.3), 5)  # 0.4 s until its turn
        await asyncio.gather(*before)

    asyncio.run(run())


def test_the_place_of_an_event_loop_that_is_gone_is_free():
    queue = Queue()
    place = []

    async def hold():
        place.append(queue.place("The server"))
        await place[0].__aenter__()

    async def take():
        async with queue.place("The server", 0.05):
            return True

    asyncio.run(hold())
    assert queue.full
    assert asyncio.run(take())


def test_who_waits_behind_an_event_loop_that_goes_gets_its_place():
    queue = Queue(1)
    gone, got = asyncio.new_event_loop(), threading.Event()

    async def hold():
        await queue.place("The server").__aenter__()

    async def wait():
        async with queue.place("The server"):
            got.set()

    gone.run_until_complete(hold())
    waiting = threading.Thread(target=asyncio.run, args=(wait(),), daemon=True)
    waiting.start()
    while not queue.waiting:
        time.sleep(0.01)
    gone.close()
    assert got.wait(10)
    waiting.join(10)


def test_a_server_has_one_queue_for_all():
    assert queue_for("http://one") is not queue_for("http://other")
    kept = queue_for("http://one")
    assert queue_for("http://one") is kept
    assert queue_for("http://one", 2) is not kept
