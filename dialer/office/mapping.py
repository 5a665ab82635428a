"""Which column of a file is what.

Columns are known by their heads, in English, Russian and Chinese, and by what a person says
(``phone:mobile=Cell``). A column that is nothing else is kept as a field of the contact under its
own head. Targets: ``name``, ``id`` (the file's own id of the contact), ``phone`` or ``phone:KIND``,
``timezone``, ``field:NAME``, ``ignore``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from dialer.office.csvfile import BadList

REJECT_COLUMNS = ("reject_line", "reject_reason")
"""What a reject file has besides the columns of its list; left out when it is imported again."""

_TARGETS = ("name", "id", "phone", "timezone", "field", "ignore")
_KIND = re.compile(r"[a-z0-9_-]{1,32}\Z")
_WORDS: dict[str, str] = {
    "phone:main": "phone telephone tel number msisdn телефон тел номер основной_телефон контактный_телефон"
    " номер_телефона phone_number telephone_number phone_main main_phone contact_phone 电话 电话号码 联系电话 号码",
    "phone:mobile": "mobile cell cellphone cell_phone mobile_phone mobile_number phone_mobile мобильный моб сотовый"
    " мобильный_телефон моб_телефон сотовый_телефон моб_тел телефон_мобильный 手机 手机号 手机号码 移动电话",
    "phone:work": "work office business work_phone office_phone business_phone phone_work рабочий рабочий_телефон"
    " раб_тел раб_телефон телефон_рабочий 公司电话 办公电话 工作电话 单位电话",
    "phone:home": "home home_phone phone_home домашний домашний_телефон дом_тел дом_телефон телефон_домашний"
    " 家庭电话 住宅电话 家里电话",
    "timezone": "timezone time_zone tz часовой_пояс таймзона 时区",
    "name": "name full_name fullname contact contact_name client customer fio фио клиент контакт абонент"
    " имя_клиента полное_имя 姓名 名字 名称 客户 客户姓名 联系人",
    "name:1": "last_name lastname surname family_name фамилия 姓",
    "name:2": "first_name firstname given_name имя 名",
    "name:3": "middle_name patronymic отчество",
    "id": "id external_id contact_id client_id customer_id uid ид код внешний_код код_клиента id_клиента лицевой_счет"
    " лицевой_счёт 编号 客户编号 序号",
}
_TARGET_OF = {word: target for target, words in _WORDS.items() for word in words.split()}


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are: numbers of columns, 0 being the first.

    *phones*: column and kind, in the file's order. *names*: the parts of the name, in the order in
    which they are put together. *zone*: time zones. *fields*: column and name of each other column that is kept.
    """

    heads: tuple[str, ...]
    phones: tuple[tuple[int, str], ...]
    names: tuple[int, ...] = ()
    id: int | None = None
    zone: int | None = None
    fields: tuple[tuple[int, str], ...] = ()

    def as_rows(self) -> list[dict[str, str]]:
        """What each column is taken for, for a preview."""
        says = dict.fromkeys(range(len(self.heads)), "ignore")
        says |= {column: f"phone:{kind}" for column, kind in self.phones}
        says |= dict.fromkeys(self.names, "name")
        says |= {column: f"field:{name}" for column, name in self.fields}
        if self.id is not None:
            says[self.id] = "id"
        if self.zone is not None:
            says[self.zone] = "timezone"
        return [{"column": head, "taken_for": says[place]} for place, head in enumerate(self.heads)]


def find_columns(heads: Sequence[str], given: Iterable[str] = (), *, file: str = "the file") -> Columns:
    """What the columns under *heads* are. *given*: ``TARGET=COLUMN``, COLUMN being a head or ``#N``.

    Raises:
        BadList: a column given is not there, a target is none, or no column holds phones.
    """
    heads = [head.strip() for head in heads]
    said = dict(_read_given(one, heads, file) for one in given)
    taken = {target for target in said.values() if not target.startswith(("phone", "field", "ignore"))}
    targets: dict[int, str] = {}
    for place, head in enumerate(heads):
        target = said.get(place)
        if target is None:
            target = _guess(head)
            # What a person said stands alone: no second name or id is guessed beside it, and the
            # phones are those that were named.
            if target.split(":")[0] in taken or (
                target.startswith("phone") and any(one.startswith("phone") for one in said.values())
            ):
                target = f"field:{head}" if head else "ignore"
        targets[place] = target
    columns = _columns(heads, targets)
    if not columns.phones:
        raise BadList(
            f"{file}, line 1: no column is known to hold phone numbers. The columns are: {_shown(heads)}."
            " Say which with --map phone=COLUMN (or phone:mobile=COLUMN), and COLUMN may be #1, #2, …"
        )
    return columns


def _read_given(one: str, heads: Sequence[str], file: str) -> tuple[int, str]:
    target, sign, column = one.partition("=")
    target, column = target.strip(), column.strip()
    kind, _, detail = target.partition(":")
    allowed = "name=, id=, phone=, phone:KIND=, timezone=, field:NAME= and ignore= are allowed"
    if not sign or kind not in _TARGETS:
        turned = f" The column comes last: {column}={target}?" if column.split(":")[0] in _TARGETS else ""
        raise BadList(f"{one!r} says nothing about a column: {allowed}, each with a column.{turned}")
    if kind == "phone" and not _KIND.match(detail or "main"):
        raise BadList(f"{detail!r} is no kind of phone: 1 to 32 of a-z, 0-9, '-' and '_' are allowed.")
    if (kind == "field") != bool(detail) and kind != "phone":
        raise BadList(f"{one!r} says nothing about a column: {allowed}, each with a column.")
    if column.startswith("#") and column[1:].isdigit() and 1 <= int(column[1:]) <= len(heads):
        place = int(column[1:]) - 1
    else:
        folded = [head.casefold() for head in heads]
        if column.casefold() not in folded:
            raise BadList(f"{file}, line 1: there is no column {column!r}. The columns are: {_shown(heads)}.")
        place = folded.index(column.casefold())
    return place, "phone:main" if target == "phone" else target


def _guess(head: str) -> str:
    if head in REJECT_COLUMNS or not head:
        return "ignore"
    word = re.sub(r"[\W_]+", "_", head.casefold()).strip("_")
    for form in (word, re.sub(r"_?\d+\Z", "", word)):
        if form in _TARGET_OF:
            return _TARGET_OF[form]
    return f"field:{head}"


def _columns(heads: list[str], targets: dict[int, str]) -> Columns:
    phones = tuple((place, one[6:]) for place, one in targets.items() if one.startswith("phone:"))
    whole = [place for place, one in targets.items() if one == "name"]
    parts = sorted((one, place) for place, one in targets.items() if one.startswith("name:"))
    names = tuple(whole[:1]) if whole else tuple(place for _, place in parts)
    ids = [place for place, one in targets.items() if one == "id"]
    zones = [place for place, one in targets.items() if one == "timezone"]
    fields = [(place, one[6:]) for place, one in targets.items() if one.startswith("field:")]
    used = {place for place, _ in phones} | set(names) | set(ids[:1]) | set(zones[:1])
    fields += [
        (place, heads[place])
        for place, one in targets.items()
        if one[:2] in ("na", "id", "ti") and place not in used
    ]
    seen: dict[str, int] = {}
    for number, (place, name) in enumerate(sorted(fields)):
        seen[name] = seen.get(name, 0) + 1
        fields[number] = (place, name if seen[name] == 1 else f"{name} {seen[name]}")
    return Columns(
        heads=tuple(heads),
        phones=phones,
        names=names,
        id=ids[0] if ids else None,
        zone=zones[0] if zones else None,
        fields=tuple(fields),
    )


def _shown(heads: Sequence[str]) -> str:
    text = ", ".join(repr(head[:40]) for head in heads[:20])
    return text + (f" and {len(heads) - 20} more" if len(heads) > 20 else "")
