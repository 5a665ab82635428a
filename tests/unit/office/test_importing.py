"""Importing a list: whatever the file looks like, everybody is there once and nothing is lost."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.values import Campaign, Trunk
from dialer.office import importing
from dialer.office.csvfile import BadList, find_form
from dialer.office.importing import Outcome, Progress, import_file, preview
from dialer.office.source import Settings, Source
from dialer.store import contacts, settings
from dialer.store.claims import claim
from dialer.store.connect import open_writer
from dialer.store.contacts import NewContact
from dialer.store.errors import Conflict

Write = Callable[..., Path]
HEAD = "id,name,phone,city\n"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(tmp_path / "journal.sqlite3")
    yield connection
    connection.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str | bytes, encoding: str = "utf-8", name: str = "people.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return make


def people(db: sqlite3.Connection) -> list[tuple[str, str, dict[str, str]]]:
    """Name, numbers and fields of everybody."""
    return [
        (name, numbers, json.loads(fields))
        for name, numbers, fields in db.execute(
            "SELECT name, (SELECT group_concat(said, ', ') FROM (SELECT kind || ' ' || number AS said"
            " FROM phones WHERE contact = c.id ORDER BY position)), fields FROM contacts c ORDER BY id"
        )
    ]


def rejects(outcome: Outcome) -> list[dict[str, str]]:
    assert outcome.rejects is not None
    with outcome.rejects.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=outcome.form.delimiter))


RUSSIAN = "Фамилия;Имя;Мобильный телефон;Рабочий;Город\nИванов;Пётр;8 (916) 123-45-67;;Тверь\nЩукин;Ян;89161234568;84951234567;Уфа\n"
CHINESE = "姓名,手机,城市\n王小明,138 1234 5678,北京市朝阳区\n李娜,13912345678,上海市浦东新区\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1251", "koi8-r", "cp866", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_russian_in_any_encoding(db: sqlite3.Connection, write: Write, encoding: str) -> None:
    outcome = import_file(db, write(RUSSIAN * 1, encoding), "people", region="RU")
    assert outcome.form.delimiter == ";"
    assert people(db) == [
        ("Иванов Пётр", "mobile +79161234567", {"Город": "Тверь"}),
        ("Щукин Ян", "mobile +79161234568, work +74951234567", {"Город": "Уфа"}),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_chinese_in_any_encoding(db: sqlite3.Connection, write: Write, encoding: str) -> None:
    import_file(db, write(CHINESE, encoding), "people", region="CN")
    assert [(name, numbers) for name, numbers, _ in people(db)] == [
        ("王小明", "mobile +8613812345678"),
        ("李娜", "mobile +8613912345678"),
    ]


def test_what_decides_the_encoding_may_come_late(db: sqlite3.Connection, write: Write) -> None:
    rows = "".join(f"{number},Ivan,8916{number:07},Tver\n" for number in range(20_000))
    path = write((HEAD + rows + "x,Пётр,89170000000,Уфа\n").encode("cp1251"))
    assert find_form(path).encoding == "cp1251"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter(db: sqlite3.Connection, write: Write, delimiter: str) -> None:
    text = f'name,phone\n"Smith{delimiter} John",+7 916 123-45-67\n'.replace(",", delimiter)
    outcome = import_file(db, write(text), "people", region="RU")
    assert outcome.form.delimiter == delimiter
    assert people(db)[0][0] == f"Smith{delimiter} John"


def test_one_column_is_a_list_too(db: sqlite3.Connection, write: Write) -> None:
    import_file(db, write("phone\n89161234567\n89161234568\n"), "people", region="RU")
    assert len(people(db)) == 2


def test_a_second_import_adds_nobody(db: sqlite3.Connection, write: Write) -> None:
    path = write(HEAD + "1,Ann,89161234567,\n2,Bob,89161234568,\n2,Bob again,89161234569,\n")
    first = import_file(db, path, "people", region="RU")
    second = import_file(db, path, "people", region="RU")
    assert (first.counts.contacts_added, first.counts.duplicates) == (2, 1)
    assert (second.counts.contacts_added, second.counts.duplicates) == (0, 3)
    assert import_file(db, path, "others", region="RU").counts.contacts_added == 2


def test_without_an_id_the_numbers_tell_who_it_is(db: sqlite3.Connection, write: Write) -> None:
    text = "name,phone,mobile\nAnn,84951234567,89161234567\n"
    import_file(db, write(text), "people", region="RU")
    swapped = "name,mobile,phone\nAnna,+7 495 123-45-67,+79161234567\nEve,+74951234567,\n"
    outcome = import_file(db, write(swapped), "people", region="RU")
    assert (outcome.counts.contacts_added, outcome.counts.duplicates) == (1, 1)


def test_rejected_rows_can_be_mended_and_imported(db: sqlite3.Connection, write: Write) -> None:
    path = write(HEAD + '1,Ann,12345,"Tver, old"\n2,Bob,89161234568,\n3,"=cmd()",,\n')
    outcome = import_file(db, path, "people", region="RU")
    assert outcome.counts.rejected == 2
    rows = rejects(outcome)
    assert [(row["reject_line"], row["name"], row["city"]) for row in rows] == [
        ("2", "Ann", "Tver, old"),
        ("4", "'=cmd()", ""),
    ]
    assert "main: '12345'" in rows[0]["reject_reason"]
    assert rows[1]["reject_reason"] == "no phone number"
    assert outcome.rejects is not None
    mended = outcome.rejects.read_text(encoding="utf-8-sig").replace("12345", "89161234567")
    mended = mended.replace("cmd(),,", "cmd(),89161234569,")
    again = import_file(db, write(mended, "utf-8-sig", "mended.csv"), "people", region="RU")
    assert again.counts.contacts_added == 2
    assert people(db)[2] == ("=cmd()", "main +79161234569", {})
    assert people(db)[1] == ("Ann", "main +79161234567", {"city": "Tver, old"})


def test_a_reject_file_is_never_written_over(db: sqlite3.Connection, write: Write) -> None:
    path = write(HEAD + "1,Ann,1,\n")
    names = [import_file(db, path, "people", region="RU").rejects for _ in range(2)]
    assert [name.name for name in names if name] == ["people.rejects.csv", "people.rejects-2.csv"]


def test_a_number_that_cannot_be_used_beside_one_that_can_is_kept_as_text(
    db: sqlite3.Connection, write: Write
) -> None:
    path = write("name,phone,work phone\nAnn,89161234567,ask Bob\nEve,нет,89161234568\n")
    outcome = import_file(db, path, "people", region="RU")
    assert outcome.numbers_left_out == 1
    (_, numbers, fields), (_, eve, _) = people(db)
    assert numbers == "main +79161234567"
    assert "ask Bob" in fields["unusable_numbers"]
    assert eve == "work +79161234568"


def test_several_numbers_in_one_cell(db: sqlite3.Connection, write: Write) -> None:
    path = write('name,phone,mobile\nAnn,"89161234567; 8 (495) 123-45-67, 89161234567",8916 123 45 67\n')
    import_file(db, path, "people", region="RU")
    assert people(db)[0][1] == "main +79161234567, main +74951234567"


def test_broken_bytes_cost_their_own_row(db: sqlite3.Connection, write: Write) -> None:
    good = "".join(f"{number},Пётр,8916{number:07},Уфа\n" for number in range(50))
    text = (
        HEAD.encode() + good.encode() + b"x,\xff\xfe\xc0,89170000000,Tver\n" + "y,Ян,89170000001,\n".encode()
    )
    outcome = import_file(db, write(text), "people", region="RU")
    assert (outcome.form.encoding, outcome.counts.contacts_added) == ("utf_8", 51)
    (row,) = rejects(outcome)
    assert row["name"] == "\\xff\\xfe\\xc0"
    assert row["reject_line"] == "52"
    assert "encoding" in row["reject_reason"]


def test_nul_bytes_cost_their_own_row(db: sqlite3.Connection, write: Write) -> None:
    outcome = import_file(
        db,
        write(HEAD + "1,An\0n,89161234567,\n2,Bob,89161234568,\n"),
        "people",
        region="RU",
        encoding="utf-8",
    )
    assert outcome.counts.contacts_added == 1
    assert rejects(outcome)[0]["reject_reason"] == "a NUL byte"


def test_a_quote_that_is_never_closed_costs_its_own_line(db: sqlite3.Connection, write: Write) -> None:
    rows = "".join(f"{number},Ivan,8916{number:07},Tver\n" for number in range(1, 500))
    outcome = import_file(db, write(HEAD + '0,"Ann,89170000000,Tver\n' + rows), "people", region="RU")
    assert (outcome.counts.contacts_added, outcome.counts.rejected) == (499, 1)
    row = rejects(outcome)[0]
    assert (row["reject_line"], row["phone"]) == ("2", "89170000000")
    assert "quote" in row["reject_reason"]


def test_a_cell_of_several_lines_and_the_line_numbers_after_it(db: sqlite3.Connection, write: Write) -> None:
    text = HEAD + '1,Ann,89161234567,"Tver,\nLenina 1"\n\n2,Bob,bad,\n'
    outcome = import_file(db, write(text), "people", region="RU")
    assert people(db)[0][2] == {"city": "Tver,\nLenina 1"}
    assert rejects(outcome)[0]["reject_line"] == "5"


def test_long_fields_short_rows_and_long_rows(db: sqlite3.Connection, write: Write) -> None:
    long = "x" * 10_240
    text = (
        HEAD
        + f"1,{long},89161234567,{long}\n2,Bob,89161234568\n3,Eve,89161234569,Ufa,extra\n4,Al,89161234560,,,\n"
    )
    outcome = import_file(db, write(text), "people", region="RU")
    assert outcome.counts.contacts_added == 3
    assert people(db)[0] == (long, "main +79161234567", {"city": long})
    assert rejects(outcome)[0]["reject_reason"] == "the row has 5 cells, the first line 4 | extra"


def test_a_field_beyond_all_measure_costs_its_own_row(db: sqlite3.Connection, write: Write) -> None:
    text = HEAD + f"1,{'x' * 200_000},89161234567,\n2,Bob,89161234568,\n"
    outcome = import_file(db, write(text), "people", region="RU")
    assert (outcome.counts.contacts_added, outcome.counts.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("text", "mapping", "error"),
    [
        (b"", (), r"people\.csv: the file is empty"),
        (b" \n\n", (), "the file is empty"),
        (
            b"a,b\n1,2\n",
            (),
            r"line 1: no column is known to hold phone numbers.*'a', 'b'.*--map phone=COLUMN",
        ),
        (b"a,b\n1,2\n", ("phone=c",), r"line 1: there is no column 'c'.*'a', 'b'"),
        (b"a,b\n1,2\n", ("phone=#3",), "there is no column '#3'"),
        (b"a,b\n1,2\n", ("fax=a",), "phone:KIND=, timezone=, field:NAME= and ignore= are allowed"),
        (b"a,b\n1,2\n", ("phone",), "are allowed"),
        (b"a,b\n1,2\n", ("phone:Big Kind=a",), "no kind of phone"),
        (b"89161234567,Ann\n", (), r"line 1 holds a phone number.*--map phone=#1"),
    ],
)
def test_a_file_that_is_no_list_says_what_is_allowed(
    db: sqlite3.Connection, write: Write, text: bytes, mapping: tuple[str, ...], error: str
) -> None:
    with pytest.raises(BadList, match=error):
        import_file(db, write(text), "people", region="RU", mapping=mapping)
    assert db.execute("SELECT count(*) FROM lists").fetchone() == (0,)


def test_no_file_no_encoding_no_name(db: sqlite3.Connection, write: Write, tmp_path: Path) -> None:
    with pytest.raises(BadList, match=r"nothing\.csv cannot be opened: No such file"):
        import_file(db, tmp_path / "nothing.csv", "people", region="RU")
    with pytest.raises(BadList, match="'klingon' is no encoding"):
        import_file(db, write(HEAD), "people", region="RU", encoding="klingon")
    with pytest.raises(Conflict, match="cannot name a list"):
        import_file(db, write(HEAD), "Все люди", region="RU")


@pytest.mark.parametrize("head", ["timezone", "Time zone", "tz", "Часовой пояс", "时区"])
def test_a_time_zone_is_read_and_an_unknown_one_names_its_neighbours(
    db: sqlite3.Connection, write: Write, head: str
) -> None:
    text = "phone,{}\n89161234567,asia/omsk\n89161234568,\n89161234569,Europe/Moskow\n89161234560,America/New York\n"
    outcome = import_file(db, write(text.format(head)), "people", region="RU")
    assert db.execute("SELECT zone FROM contacts ORDER BY id").fetchall() == [
        ("Asia/Omsk",),
        ("",),
        ("America/New_York",),
    ]
    [rejected] = rejects(outcome)
    assert rejected["reject_reason"].startswith(
        f"{head}: there is no time zone 'Europe/Moskow' (near to it: Europe/Moscow, "
    )
    assert (rejected[head], rejected["reject_line"]) == ("Europe/Moskow", "4")


def test_which_column_is_the_time_zone_can_be_said(db: sqlite3.Connection, write: Write) -> None:
    path = write("phone,tz,where\n89161234567,not this,Asia/Omsk\n")
    import_file(db, path, "people", region="RU", mapping=("timezone=where",))
    assert people(db) == [("", "main +79161234567", {"tz": "not this"})]
    assert db.execute("SELECT zone FROM contacts").fetchone() == ("Asia/Omsk",)


def test_columns_can_be_given(db: sqlite3.Connection, write: Write) -> None:
    path = write("a,b,c,d,phone\nAnn,89161234567,Tver,7,not this\n")
    mapping = ("name=a", "phone:cottage=B", "id=d", "field:town=c", "ignore=phone")
    import_file(db, path, "people", region="RU", mapping=mapping)
    assert people(db) == [("Ann", "cottage +79161234567", {"town": "Tver"})]
    assert db.execute("SELECT key FROM contacts").fetchone() == ("id:7",)


def test_a_file_without_heads(db: sqlite3.Connection, write: Write) -> None:
    path = write("89161234567,Ann\n89161234568,Bob\n")
    import_file(db, path, "people", region="RU", mapping=("phone=#1", "name=#2"))
    assert [name for name, _, _ in people(db)] == ["Ann", "Bob"]


def test_a_preview_writes_nothing(write: Write, tmp_path: Path) -> None:
    seen = preview(write(RUSSIAN + "Плохой;Ряд;1;;\n", "cp1251"), region="RU")
    assert seen.form.encoding == "cp1251"
    assert seen.contacts[0] == {
        "line": 2,
        "name": "Иванов Пётр",
        "id": "",
        "phones": "mobile +79161234567",
        "timezone": "",
        "fields": {"Город": "Тверь"},
    }
    assert [row["taken_for"] for row in seen.columns.as_rows()] == [
        "name",
        "name",
        "phone:mobile",
        "phone:work",
        "field:Город",
    ]
    assert (seen.counts.rows_read, seen.counts.contacts_added, seen.counts.rejected) == (3, 2, 1)
    assert seen.rejected[0].line == 4
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_a_long_file_is_read_by_a_second_process_with_the_same_outcome(
    db: sqlite3.Connection, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{n},Иван {n},{'bad' if n % 7 == 0 else f'8916{n:07}'},\n" for n in range(1, 5001))
    path = write(HEAD + rows, "cp1251")
    here = preview(path, region="RU")
    monkeypatch.setattr(importing, "LONG_BYTES", 1000)
    assert preview(path, region="RU") == here
    seen: list[Progress] = []
    outcome = import_file(db, path, "people", region="RU", progress=seen.append)
    assert outcome.counts.contacts_added == here.counts.contacts_added == 5000 - 714
    assert outcome.counts.rejected == len(rejects(outcome)) == 714
    assert [one.bytes_read for one in seen] == sorted(one.bytes_read for one in seen)
    assert seen[-1].bytes_read == seen[-1].bytes_all == path.stat().st_size
    assert people(db)[0] == ("Иван 1", "main +79160000001", {})


def test_a_reader_that_dies_is_an_error(
    db: sqlite3.Connection, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "LONG_BYTES", 1)
    monkeypatch.setattr("dialer.office.source.sys.executable", "/bin/false")
    with pytest.raises(BadList, match="ended early"):
        import_file(db, write(HEAD + "1,Ann,89161234567,\n"), "people", region="RU")


def test_new_contacts_become_leads_of_the_campaigns_that_call_the_list(
    db: sqlite3.Connection, write: Write
) -> None:
    settings.apply_trunk(db, Trunk(id=TrunkId("t"), host="127.0.0.1"), 1.0)
    settings.apply_campaign(db, Campaign(id=CampaignId("c"), lists=("people",), trunk=TrunkId("t")), 1.0)
    outcome = import_file(db, write(HEAD + "1,Ann,89161234567,\n"), "people", region="RU")
    assert outcome.enrolled == {"c": 1}
    assert db.execute("SELECT count(*) FROM leads").fetchone() == (1,)


def test_transactions_are_short_beside_an_engine(
    db: sqlite3.Connection, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{number},Ivan,8916{number:07},\n" for number in range(1300))
    path = write(HEAD + rows)
    sizes: list[int] = []
    add = contacts.add_contacts

    def watch(
        connection: sqlite3.Connection, name: str, number: int, chunk: list[NewContact], at: float
    ) -> int:
        sizes.append(len(chunk))
        return add(connection, name, number, chunk, at)

    monkeypatch.setattr(contacts, "add_contacts", watch)
    lock = tmp_path / "engine.lock"
    with claim(lock):
        import_file(db, path, "one", region="RU", engine_lock=lock)
    assert max(sizes) == importing.ROWS_BESIDE_ENGINE
    assert sum(sizes) == 1300
    sizes.clear()
    import_file(db, path, "two", region="RU", engine_lock=lock)
    assert sizes == [1300]
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_memory_does_not_grow_with_the_file(write: Write) -> None:
    """Rows are handed over as they are read: nothing holds more than a batch."""
    rows = "".join(f"{number},Ivan,8916{number:07},\n" for number in range(9000))
    with Source(Settings(path=str(write(HEAD + rows)), region="RU")) as source:
        batches = source.batches(1000)
        assert len(next(batches).contacts) == 1000
        assert source.rows_read == 1000
        assert source.position < source.form.size
