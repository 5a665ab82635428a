"""Who lives in the laboratory, on which numbers, and what they do when they are called.

A :class:`Person` has several lines; each :class:`Line` has a plan: its first call meets the
first reaction, the second call the second, and every later one the last. So a person may be
busy at first and talk later. :func:`day` invents people from a seed: the same seed makes the
same day, on any machine.

The numbers are nobody's: they have the form of Russian numbers and pass validation, but the
mobile ones are of codes that no operator has been given, and the fixed ones begin, after the
area code, with a zero, which no subscriber's number does.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

DEMO_SEED = 20
DEMO_SIZE = 64
DEMO_CONTACTS = Path(__file__).parent / "data" / "contacts-demo.csv"
"""The bundled list: what :func:`write_contacts_csv` makes of ``day(DEMO_SEED, DEMO_SIZE)``."""

COLUMNS = ("name", "mobile", "home", "work", "city")


class Behaviour(StrEnum):
    """What a person does when called; each is a file in ``dialer/lab/people``."""

    BUSY = "busy"
    """486."""
    NO_ANSWER = "no_answer"
    """Rings until the caller gives up."""
    UNKNOWN = "unknown"
    """404; also every number at which nobody lives."""
    DECLINES = "declines"
    """603 after ringing for a while."""
    CONGESTED = "congested"
    """503."""
    HANGS_UP = "hangs_up"
    """Answers and hangs up at once."""
    REFUSES = "refuses"
    """Answers, says a few words and hangs up."""
    TALKS = "talks"
    """Answers, talks and hangs up."""
    WAITS = "waits"
    """Answers, talks and leaves the ending to the operator."""
    NO_RINGING = "no_ringing"
    """Answers without having rung, talks and hangs up."""
    EARLY_MEDIA = "early_media"
    """A tone is heard before the answer (183); then talks and hangs up."""
    CROSSES_CANCEL = "crosses_cancel"
    """Rings, and answers just as the caller gives up: the answer and the CANCEL cross."""
    PRESSES_1 = "presses_1"
    """Answers, and after *talk_ms* presses 1: of the last word's menu, to wait for an operator."""
    PRESSES_2 = "presses_2"
    """Likewise 2: no more calls."""
    PRESSES_3_1 = "presses_3_1"
    """Likewise 3, to be called at another time, and after *talk_ms* more 1, the first one offered."""
    MACHINE = "machine"
    """An answering machine: speaks without a pause, then records for *talk_ms*, and hangs up."""
    SILENT = "silent"
    """Answers, says nothing and leaves the ending to the caller."""
    ON_CUE = "on_cue"
    """Rings until told to answer, and talks until told to hang up (:meth:`dialer.lab.network.LabNetwork.answer`)."""


ANSWERING = frozenset(
    {
        Behaviour.HANGS_UP,
        Behaviour.REFUSES,
        Behaviour.TALKS,
        Behaviour.WAITS,
        Behaviour.NO_RINGING,
        Behaviour.EARLY_MEDIA,
    }
)
"""Who answers, unless the caller gives up before."""


PRESSING = frozenset({Behaviour.PRESSES_1, Behaviour.PRESSES_2, Behaviour.PRESSES_3_1})
"""Who answers the last word's questions by keys."""
NOT_IN_A_DAY = PRESSING | {Behaviour.MACHINE, Behaviour.SILENT, Behaviour.ON_CUE}
"""What nobody does in a :func:`day` that is invented."""


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """What happens at one call. *ring_ms*: before the answer; *talk_ms*: after it, where it ends by itself."""

    behaviour: Behaviour
    ring_ms: int = 1000
    talk_ms: int = 3000

    def __post_init__(self) -> None:
        if self.ring_ms < 0 or self.talk_ms < 0:
            raise ValueError(f"a reaction's times are not negative: {self!r}")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A number at which a person is called. *number*: E.164 with its plus sign."""

    kind: str
    number: str
    plan: tuple[Reaction, ...]

    def __post_init__(self) -> None:
        if not (self.number.startswith("+") and self.number[1:].isascii() and self.number[1:].isdigit()):
            raise ValueError(f"{self.number!r} is not an E.164 number with its plus sign")
        if not self.plan:
            raise ValueError(f"the line {self.number} has no plan")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can be called. *voice*: which of the persons' voices, from 0 on."""

    name: str
    city: str = ""
    voice: int = 0
    lines: tuple[Line, ...]


def day(seed: int, size: int) -> list[Person]:
    """*size* people with their numbers and plans. The same *seed* and *size* make the same day.

    Times are short: a ring of a second or so, talks of 2 to 8 s. Every behaviour but ``on_cue`` and
    :data:`PRESSING` occurs in any day of 16 people or more, and so do people who are reached on their
    second number or at the second call only.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    fates = list(_CERTAIN)
    while len(fates) < size:
        fates.append(rng.choices(_USUAL, weights=[weight for weight, _ in _LIKELY])[0])
    fates = fates[:size]
    rng.shuffle(fates)
    given: set[str] = set()
    people = []
    for index, fate in enumerate(fates):
        city, area = rng.choice(_CITIES)
        plans = [tuple(_react(rng, behaviour) for behaviour in line) for line in fate]
        kinds = _kinds(rng, len(plans))
        lines = tuple(
            Line(kind=kind, number=_number(rng, kind, area, given), plan=plan)
            for kind, plan in zip(kinds, plans, strict=True)
        )
        people.append(Person(name=_name(rng), city=city, voice=index, lines=lines))
    return people


def demo_day() -> list[Person]:
    """The people of the bundled list."""
    return day(DEMO_SEED, DEMO_SIZE)


def write_contacts_csv(people: Iterable[Person], path: Path, *, seed: int = 0) -> None:
    """Write *people* as the list of contacts that a client hands in: UTF-8, semicolons, :data:`COLUMNS`.

    Numbers are written as people write them, in many ways; *seed* chooses which.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(COLUMNS)
        for person in people:
            numbers = {line.kind: _written(rng, line.number) for line in person.lines}
            writer.writerow([person.name, *(numbers.get(kind, "") for kind in COLUMNS[1:4]), person.city])


def _react(rng: random.Random, behaviour: Behaviour) -> Reaction:
    ring_ms = rng.randrange(400, 1800, 50)
    talk_ms = rng.randrange(2000, 8000, 100)
    if behaviour is Behaviour.REFUSES:
        talk_ms = rng.randrange(1500, 3000, 100)
    return Reaction(behaviour=behaviour, ring_ms=ring_ms, talk_ms=talk_ms)


def _kinds(rng: random.Random, count: int) -> Sequence[str]:
    if count == 1:
        return rng.choices((("mobile",), ("home",), ("work",)), weights=(6, 2, 1))[0]
    if count == 2:
        return rng.choices((("mobile", "home"), ("mobile", "work"), ("home", "work")), weights=(3, 3, 1))[0]
    return ("mobile", "home", "work")


def _number(rng: random.Random, kind: str, area: str, given: set[str]) -> str:
    while True:
        if kind == "mobile":
            number = f"+7{rng.choice(_MOBILE_CODES)}{rng.randrange(10**7):07d}"
        else:
            number = f"+7{area}0{rng.randrange(10**6):06d}"
        if number not in given:
            given.add(number)
            return number


def _written(rng: random.Random, number: str) -> str:
    code, a, b, c = number[2:5], number[5:8], number[8:10], number[10:12]
    return rng.choice(
        (
            f"8 ({code}) {a}-{b}-{c}",
            f"+7-{code}-{a}-{b}-{c}",
            f"8{code}{a}{b}{c}",
            f"+7 {code} {a} {b} {c}",
            f"8-{code}-{a}{b}{c}",
            f"+7 ({code}) {a}-{b}{c}",
            number,
        )
    )


def _name(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return f"{rng.choice(_SURNAMES)} {rng.choice(_MEN)} {rng.choice(_FATHERS)}ич"
    return f"{rng.choice(_SURNAMES)}а {rng.choice(_WOMEN)} {rng.choice(_FATHERS)}на"


_B = Behaviour
_Fate = tuple[tuple[Behaviour, ...], ...]
"""For each line of a person, the behaviours of its calls."""

_CERTAIN: tuple[_Fate, ...] = (
    ((_B.TALKS,),),
    ((_B.WAITS,),),
    ((_B.NO_RINGING,),),
    ((_B.EARLY_MEDIA,),),
    ((_B.REFUSES,),),
    ((_B.HANGS_UP,),),
    ((_B.DECLINES,),),
    ((_B.CROSSES_CANCEL,),),
    ((_B.CONGESTED, _B.TALKS),),
    ((_B.UNKNOWN,), (_B.TALKS,)),
    ((_B.BUSY, _B.TALKS),),
    ((_B.BUSY,), (_B.TALKS,)),
    ((_B.NO_ANSWER, _B.TALKS),),
    ((_B.NO_ANSWER,), (_B.NO_RINGING,)),
    ((_B.UNKNOWN,), (_B.BUSY,), (_B.TALKS,)),
    ((_B.NO_ANSWER,), (_B.BUSY,)),
)
_LIKELY: tuple[tuple[int, _Fate], ...] = (
    (10, ((_B.TALKS,),)),
    (10, ((_B.TALKS,), (_B.NO_ANSWER,))),
    (6, ((_B.TALKS,), (_B.BUSY,), (_B.UNKNOWN,))),
    (2, ((_B.NO_RINGING,), (_B.NO_ANSWER,))),
    (2, ((_B.EARLY_MEDIA,),)),
    (3, ((_B.REFUSES,), (_B.TALKS,))),
    (1, ((_B.HANGS_UP,), (_B.NO_ANSWER,))),
    (1, ((_B.DECLINES,), (_B.TALKS,))),
    (2, ((_B.UNKNOWN,),)),
    (2, ((_B.UNKNOWN,), (_B.TALKS,))),
    (3, ((_B.BUSY, _B.TALKS),)),
    (3, ((_B.BUSY,), (_B.TALKS,))),
    (3, ((_B.NO_ANSWER,), (_B.TALKS,))),
    (2, ((_B.NO_ANSWER, _B.TALKS),)),
)
_USUAL = tuple(fate for _, fate in _LIKELY)

_MOBILE_CODES = ("944", "945", "946", "948")
_CITIES = (("Москва", "495"), ("Санкт-Петербург", "812"), ("Екатеринбург", "343"), ("Новосибирск", "383"))
_SURNAMES = (
    *("Иванов", "Смирнов", "Кузнецов", "Попов", "Соколов", "Лебедев", "Козлов", "Новиков", "Морозов"),
    *("Петров", "Волков", "Соловьёв", "Васильев", "Зайцев", "Павлов", "Семёнов", "Голубев", "Виноградов"),
    *("Богданов", "Воробьёв", "Фёдоров", "Михайлов", "Беляев", "Тарасов", "Белов", "Комаров", "Орлов"),
    *("Киселёв", "Макаров", "Андреев", "Ковалёв", "Ильин", "Гусев", "Титов", "Кузьмин", "Кудрявцев"),
)
_MEN = ("Александр", "Дмитрий", "Максим", "Сергей", "Андрей", "Алексей", "Артём", "Илья", "Кирилл", "Михаил")
_WOMEN = ("Анна", "Мария", "Елена", "Дарья", "Алина", "Ирина", "Екатерина", "Арина", "Полина", "Ольга")
_FATHERS = ("Александров", "Дмитриев", "Максимов", "Сергеев", "Андреев", "Алексеев", "Иванов", "Михайлов")
