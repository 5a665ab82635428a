"""A bag: a set that knows how often each of its members was put in. Iterated, it names each as often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Bag(Generic[T]):
    """Who called us while we called them is on the floor twice: one of both calls ends, and they are live still."""

    def __init__(self) -> None:
        self._counts: Counter[T] = Counter()

    def __contains__(self, one: object) -> bool:
        return one in self._counts

    def __iter__(self) -> Iterator[T]:
        return self._counts.elements()

    def __len__(self) -> int:
        return self._counts.total()

    def count(self, one: T) -> int:
        """How often."""
        return self._counts[one]

    def add(self, one: T) -> None:
        """Once more."""
        self._counts[one] += 1

    def discard(self, one: T) -> None:
        """Once less, if at all."""
        if self._counts[one] > 1:
            self._counts[one] -= 1
        else:
            del self._counts[one]
