"""Work done behind one's back is done in order, all of it or none that follows an error, and never piles up."""

from __future__ import annotations

from threading import Event, active_count

import pytest

from ecm_agent.archive.behind import Behind


def test_work_is_done_in_order_and_to_the_end() -> None:
    """When the context has ended everything has been done, one piece after the other."""
    done: list[bytes | memoryview] = []
    with Behind() as behind:
        for number in range(100):
            behind.do(done.append, b"%d" % number)
    assert done == [b"%d" % number for number in range(100)]


def test_waiting_waits_for_all_of_it() -> None:
    """What was handed over before has been done after."""
    done: list[bytes | memoryview] = []
    with Behind() as behind:
        for _ in range(3):
            behind.do(done.append, b"x")
        behind.wait()
        assert len(done) == 3


def test_an_error_comes_back_and_ends_the_work() -> None:
    """Whoever hands over next hears of it, and nothing that came after it was done."""
    done: list[bytes | memoryview] = []

    def fail(data: bytes | memoryview) -> None:
        raise OSError(28, "No space left on device", data)

    def work() -> None:
        with Behind() as behind:
            behind.do(fail, b"")
            for _ in range(1000):
                behind.do(done.append, b"x")

    with pytest.raises(OSError, match="No space left"):
        work()
    assert done == []


def test_an_error_of_the_last_piece_is_not_lost() -> None:
    """It comes at the end of the context, where nothing more is handed over."""

    def fail(_data: bytes | memoryview) -> None:
        raise ValueError("the last")

    with pytest.raises(ValueError, match="the last"), Behind() as behind:
        behind.do(fail, b"")


def test_an_interruption_gives_up_what_waits() -> None:
    """The thread is gone afterwards, and what had not begun is not done."""
    done: list[bytes | memoryview] = []
    go = Event()
    threads = active_count()

    def slow(data: bytes | memoryview) -> None:
        go.wait(10)
        done.append(data)

    def interrupted() -> None:
        with Behind() as behind:
            behind.do(slow, b"begun")
            behind.do(done.append, b"waiting")
            go.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [b"begun", b"waiting"][: len(done)]
    assert active_count() == threads


def test_only_a_few_pieces_wait() -> None:
    """Whoever is faster than the work waits for it: memory does not grow with what there is to do."""
    go, handed = Event(), []
    with Behind() as behind:
        behind.do(lambda _data: go.wait(10), b"")

        def watch(data: bytes | memoryview) -> None:
            handed.append(data)
            if len(handed) == 1:
                assert behind._work.qsize() <= 4

        go.set()
        for _ in range(50):
            behind.do(watch, b"x")
    assert len(handed) == 50
