"""Work on several threads, which suffices where the work releases the interpreter, or on one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """`map` on threads, in order, with no more results waiting than there are threads."""
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def for_each(function: Callable[[A], object], items: Iterable[A], threads: int) -> None:
    """Call `function` for each item, on threads."""
    for _ in in_order(function, items, threads):
        pass


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread, so that its result does not depend on the number of cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
