"""What the last word says by itself, in the languages that campaigns speak. Pure.

A phrase has a name, the same in all languages, by which the scripts ask for it. A time is put together of several: a day or a date, an
hour, minutes (:mod:`agi.clock` knows the order of each language). What a key is for is one phrase for each key, since no language
likes its digits spliced in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from dialer.core.conduct import Language

VOICES: Final[Mapping[Language, str]] = {"ru": "ru", "en": "en", "zh": "cmn"}
"""Of espeak-ng."""

_EN: Final = {
    "sorry": "We are sorry: nobody is free to talk to you just now.",
    "still_nobody": "We are sorry: still nobody is free.",
    "alone": "We are sorry: nobody can be reached just now.",
    "wait": "To wait for an operator, press {key}.",
    "refuse": "If you want no more calls from us, press {key}.",
    "later": "To be called at another time, press {key}.",
    "operator": "To speak to an operator, press {key}.",
    "confirm": "To confirm, press {key}.",
    "stay": "Thank you. Please stay on the line.",
    "refused": "Your number is on our do not call list now. We shall not call you again.",
    "confirmed": "Thank you.",
    "when": "When may we call you?",
    "press": "Press {key}.",
    "promised": "Thank you. We shall call you.",
    "no_times": "We are sorry: there is no time that we could offer.",
    "not_noted": "We are sorry: this could not be noted.",
    "wrong": "This key means nothing here.",
    "goodbye": "Goodbye.",
    "hold": "Please stay on the line. We are trying to reach an operator.",
    "hold_1": "The waiting time is less than a minute.",
    "place_1": "You are the next one in the queue.",
    "place": "You are number {n} in the queue.",
    "place_more": "There are more than twenty people before you in the queue.",
    "callback": "To be called back as soon as somebody is free, press {key}.",
    "closed": "Thank you for calling. There is nobody here at this hour.",
    "voicemail": "Please leave a message after the tone, and hang up when you have finished.",
    "today": "Today",
    "tomorrow": "Tomorrow",
    "in_24": "Tomorrow at this time.",
    "am": "A M.",
    "pm": "P M.",
}
_RU: Final = {
    "sorry": "Извините, сейчас все операторы заняты.",
    "still_nobody": "Извините, операторы всё ещё заняты.",
    "alone": "Извините, сейчас соединить вас не с кем.",
    "wait": "Чтобы дождаться оператора, нажмите {key}.",
    "refuse": "Если вы не хотите больше получать наши звонки, нажмите {key}.",
    "later": "Чтобы мы перезвонили в другое время, нажмите {key}.",
    "operator": "Чтобы поговорить с оператором, нажмите {key}.",
    "confirm": "Чтобы подтвердить, нажмите {key}.",
    "stay": "Спасибо. Пожалуйста, оставайтесь на линии.",
    "refused": "Ваш номер внесён в список отказа. Больше мы вам не позвоним.",
    "confirmed": "Спасибо.",
    "when": "Когда вам перезвонить?",
    "press": "Нажмите {key}.",
    "promised": "Спасибо. Мы перезвоним вам.",
    "no_times": "Извините, подходящего времени нет.",
    "not_noted": "Извините, записать ваш ответ не удалось.",
    "wrong": "Такого варианта нет.",
    "goodbye": "До свидания.",
    "hold": "Пожалуйста, оставайтесь на линии. Мы соединяем вас с оператором.",
    "hold_1": "Время ожидания меньше минуты.",
    "place_1": "Вы следующий в очереди.",
    "place": "Ваш номер в очереди: {n}.",
    "place_more": "В очереди перед вами больше двадцати человек.",
    "callback": "Чтобы мы перезвонили вам, как только освободится оператор, нажмите {key}.",
    "closed": "Спасибо за звонок. Сейчас мы не работаем.",
    "voicemail": "Оставьте сообщение после сигнала, а затем повесьте трубку.",
    "today": "Сегодня",
    "tomorrow": "Завтра",
    "in_24": "Завтра в это же время.",
}
_ZH: Final = {
    "sorry": "对不起，现在没有空闲的客服人员。",
    "still_nobody": "对不起，现在仍然没有空闲的客服人员。",
    "alone": "对不起，现在无法为您接通。",
    "wait": "等待人工服务，请按{key}。",
    "refuse": "如果您不想再接到我们的电话，请按{key}。",
    "later": "如需另约时间，请按{key}。",
    "operator": "人工服务，请按{key}。",
    "confirm": "确认，请按{key}。",
    "stay": "谢谢，请不要挂机。",
    "refused": "您的号码已列入谢绝来电名单，我们不会再给您打电话。",
    "confirmed": "谢谢。",
    "when": "请问什么时间给您打电话？",
    "press": "请按{key}。",
    "promised": "谢谢，我们会再给您打电话。",
    "no_times": "对不起，没有合适的时间。",
    "not_noted": "对不起，没有记录成功。",
    "wrong": "您按的键无效。",
    "goodbye": "再见。",
    "hold": "请不要挂机，正在为您转接客服人员。",
    "hold_1": "等待时间不到一分钟。",
    "place_1": "您是下一位。",
    "place": "您排在第{n}位。",
    "place_more": "您前面还有二十多位客户在等待。",
    "callback": "如需在有空闲客服时给您回电，请按{key}。",
    "closed": "感谢您的来电，现在是非工作时间。",
    "voicemail": "请在提示音后留言，留言结束后挂机即可。",
    "today": "今天",
    "tomorrow": "明天",
    "in_24": "明天的这个时间。",
}
_KEYS: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "ru": ("ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять"),
    "zh": ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九"),
}
_DAYS: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "ru": (
        *("в понедельник", "во вторник", "в среду", "в четверг", "в пятницу", "в субботу", "в воскресенье"),
    ),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
_MONTHS: Final[Mapping[Language, tuple[str, ...]]] = {
    "en": (
        *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
        *("October", "November", "December"),
    ),
    "ru": (
        *("января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября"),
        *("октября", "ноября", "декабря"),
    ),
    "zh": (
        "一月",
        "二月",
        "三月",
        "四月",
        "五月",
        "六月",
        "七月",
        "八月",
        "九月",
        "十月",
        "十一月",
        "十二月",
    ),
}
_RU_DATES: Final = (
    *("первого", "второго", "третьего", "четвёртого", "пятого", "шестого", "седьмого", "восьмого"),
    *("девятого", "десятого", "одиннадцатого", "двенадцатого", "тринадцатого", "четырнадцатого"),
    *("пятнадцатого", "шестнадцатого", "семнадцатого", "восемнадцатого", "девятнадцатого", "двадцатого"),
    *("двадцать первого", "двадцать второго", "двадцать третьего", "двадцать четвёртого"),
    *("двадцать пятого", "двадцать шестого", "двадцать седьмого", "двадцать восьмого"),
    *("двадцать девятого", "тридцатого", "тридцать первого"),
)
_LENGTHS: Final = (1, 2, 3, 4, 6, 8, 12)
"""Hours from now that are told as such (:data:`dialer.core.offers.LATER_HOURS`; 24 has a phrase of its own)."""
_TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {"en": _EN, "ru": _RU, "zh": _ZH}
_KEYED: Final = frozenset({"wait", "refuse", "later", "operator", "confirm", "press", "callback"})
_WAITING: Final = frozenset({"hold", "hold_1", "place", "place_1", "place_more"})
_INBOUND: Final = frozenset({"closed", "voicemail"})
_TIMES: Final = frozenset({"when", "promised", "no_times", "today", "tomorrow", "in_24", "am", "pm"})


def phrases(language: Language, keys: Mapping[str, str]) -> dict[str, str]:
    """Texts by name, for a menu in which *keys* (key to choice) are offered: no more than it can need."""
    texts = {
        name: text
        for name, text in _TEXTS[language].items()
        if name not in _KEYED | _WAITING | _INBOUND and (name not in _TIMES or "later" in keys.values())
    }
    for key, choice in keys.items():
        if not key.isdigit():
            continue  # a star has a name in no language that everybody knows
        texts[f"{choice}_{key}"] = _keyed(language, choice, int(key))
    if "later" in keys.values():
        texts |= {f"press_{key}": _keyed(language, "press", key) for key in range(1, 10)}
        texts |= _times(language)
    return texts


def inbound_phrases(language: Language, recall: Mapping[str, str]) -> dict[str, str]:
    """What is said besides to people who called us and whom nobody takes. *recall*: key to choice, of the offer of a callback."""
    named = {name: _TEXTS[language][name] for name in (*sorted(_INBOUND), "promised")}
    return phrases(language, recall) | named


PLACES_MAX: Final = 20
"""Places in a queue that are told by their number; who is farther back is told that."""
MINUTES: Final = (*range(2, 21), 25, 30, 40, 50, 60)
"""Waiting times that are told, in minutes: rounded up to one of these. ``hold_1`` is less than one."""


def told_place(place: int) -> str:
    """The name of the phrase for the person in *place* (from 1 on) of a queue."""
    return f"place_{place}" if place <= PLACES_MAX else "place_more"


def told_wait(wait_s: float | None) -> str:
    """The name of the phrase for a waiting time; ``hold`` says none: it is not known, or too long to be told. Nobody waits longer
    than told."""
    if wait_s is None:
        return "hold"
    minutes = math.ceil(wait_s / 60)
    if minutes <= 1:
        return "hold_1"
    told = next((one for one in MINUTES if one >= minutes), None)
    return "hold" if told is None else f"minutes_{told}"


def waiting(language: Language) -> dict[str, str]:
    """What people are told who wait for an operator, by the names of :func:`told_place` and :func:`told_wait`; what is
    needed first, first."""
    texts = _TEXTS[language]
    found = {name: texts[name] for name in ("hold", "hold_1", "place_1")}
    for number in range(2, PLACES_MAX + 1):
        found[f"place_{number}"] = texts["place"].format(n=_chinese(number) if language == "zh" else number)
    found["place_more"] = texts["place_more"]
    return found | {f"minutes_{minutes}": waiting_minutes(language, minutes) for minutes in MINUTES}


def waiting_minutes(language: Language, minutes: int) -> str:
    """How long it will take, for a person who is held; *minutes* from 2 on."""
    match language:
        case "ru":
            return f"Время ожидания: {minutes} {_russian(minutes, 'минута', 'минуты', 'минут')}."
        case "zh":
            return f"等待时间大约{_chinese(minutes)}分钟。"
        case _:
            return f"The waiting time is {minutes} minutes."


def _keyed(language: Language, name: str, key: int) -> str:
    return _TEXTS[language][name].format(key=_KEYS[language][key])


def _times(language: Language) -> dict[str, str]:
    texts = {f"day_{day}": text for day, text in enumerate(_DAYS[language])}
    texts |= {f"month_{month}": text for month, text in enumerate(_MONTHS[language], 1)}
    for hour in range(24):
        texts[f"hour_{hour}"] = {
            "en": f"at {hour % 12 or 12}",
            "ru": f"в {hour} {_russian(hour, 'час', 'часа', 'часов')}",
            "zh": f"{_chinese(hour)}点",
        }[language]
    for minute in (15, 30, 45):
        texts[f"minute_{minute}"] = {
            "en": str(minute),
            "ru": f"{minute} минут",
            "zh": f"{_chinese(minute)}分",
        }[language]
    for date in range(1, 32):
        texts[f"date_{date}"] = {
            "en": f"on {_EN_DATES[date - 1]} of",
            "ru": _RU_DATES[date - 1],
            "zh": f"{_chinese(date)}号",
        }[language]
    for hours in _LENGTHS:
        texts[f"in_{hours}"] = {
            "en": f"In {hours} hour{'s' if hours > 1 else ''}.",
            "ru": f"Через {hours} {_russian(hours, 'час', 'часа', 'часов')}.",
            "zh": f"{'两' if hours == 2 else _chinese(hours)}小时以后。",
        }[language]
    return texts


_EN_DATES: Final = tuple(
    f"the {day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10 if day not in (11, 12, 13) else 0, 'th') }"
    for day in range(1, 32)
)


def _russian(number: int, one: str, few: str, many: str) -> str:
    """The form of a Russian noun after *number*."""
    if number % 10 == 1 and number % 100 != 11:
        return one
    if number % 10 in (2, 3, 4) and number % 100 not in (12, 13, 14):
        return few
    return many


def _chinese(number: int) -> str:
    """A number from 0 to 99 in Chinese."""
    digits = _KEYS["zh"]
    tens, ones = divmod(number, 10)
    if not tens:
        return digits[ones]
    return ("" if tens == 1 else digits[tens]) + "十" + (digits[ones] if ones else "")
