"""What Asterisk says that it has is held against what it was given."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.trunk import Trunk
from dialer.pbx import taken
from dialer.pbx.errors import NotFound
from dialer.pbx.render import trunk_file
from dialer.pbx.settings import Sip
from dialer.pbx.trunks import TrunkLine

LINE = TrunkLine(
    trunk=Trunk(id="lab", host="192.0.2.1", username="u", register=True, transport="tcp"),  # type: ignore[arg-type]
    secret="pw;x",
)
TEXT = trunk_file([LINE], Sip())
PAGE = (
    "# TYPE asterisk_pjsip_outbound_registration_status gauge\n"
    'asterisk_pjsip_outbound_registration_status{eid="0",username="sip:u@192.0.2.1:5060;transport=tcp",'
    'domain="sip:192.0.2.1:5060;transport=tcp",channel_type="PJSIP"} 1\n'
)


class FakeAri:
    """Answers as Asterisk 22 writes what it has."""

    def __init__(self) -> None:
        self.has: dict[str, dict[str, str]] = {}
        for one in taken.sections(TEXT):
            values = {key: self._as_asterisk(key, value) for key, value in one.values}
            self.has[f"/asterisk/config/dynamic/res_pjsip/{one.type}/{one.id}"] = values | {"other": "1"}
        self.page = PAGE
        self.asked: list[str] = []

    @staticmethod
    def _as_asterisk(key: str, value: str) -> str:
        value = {"yes": "true", "no": "false"}.get(value, value)
        return f"({value.replace(',', '|')})" if key == "allow" else "3.000000" if value == "3.0" else value

    async def request(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(path)
        if path.startswith("/endpoints"):
            return {"resource": "trunk-lab", "state": "online", "channel_ids": ["1", "2"]}
        if path not in self.has:
            raise NotFound(404, "there is none")
        return [{"attribute": key, "value": value} for key, value in self.has[path].items()]

    async def metrics(self) -> str:
        return self.page


async def standing(ari: FakeAri) -> taken.Standing:
    return (await taken.standings(ari, taken.by_trunk(TEXT, ["lab"])))["lab"]  # type: ignore[arg-type]


async def test_what_was_taken_is_said_to_be():
    found = await standing(FakeAri())
    assert found.is_taken
    assert (found.state, found.registration, found.calls) == ("online", "registered", 2)


@pytest.mark.parametrize(
    ("kind", "key", "value", "said"),
    [
        ("endpoint", "allow", "(alaw)", "[trunk-lab] endpoint: allow is (alaw) and not alaw,ulaw"),
        ("aor", "contact", "sip:old", "contact is sip:old and not sip:192.0.2.1:5060;transport=tcp"),
        ("endpoint", "from_user", "", "from_user is empty and not u"),
        ("auth", "password", "old", "[trunk-lab] auth: password is another"),
    ],
)
async def test_what_is_otherwise_is_named_and_no_secret_told(kind, key, value, said):
    ari = FakeAri()
    ari.has[f"/asterisk/config/dynamic/res_pjsip/{kind}/trunk-lab"][key] = value
    [difference] = (await standing(ari)).differences
    assert said in difference
    assert "pw" not in difference


async def test_a_part_that_asterisk_refused_is_named():
    ari = FakeAri()
    del ari.has["/asterisk/config/dynamic/res_pjsip/registration/trunk-lab"]
    assert (await standing(ari)).differences == ("[trunk-lab] registration is not there",)


async def test_a_transport_that_stays_as_it_was_wants_a_restart():
    trunk = Trunk(id="t", host="192.0.2.1", transport="tls", tls_ca="/etc/ca.pem")  # type: ignore[arg-type]
    text = trunk_file([TrunkLine(trunk=trunk)], Sip())
    [transport, *_] = taken.by_trunk(text, ["t"])["t"]
    assert transport.is_transport
    ari = FakeAri()
    ari.has = {
        f"/asterisk/config/dynamic/res_pjsip/{one.type}/{one.id}": dict(one.values)
        for one in taken.sections(text)
    }
    ari.has[f"/asterisk/config/dynamic/res_pjsip/transport/{transport.id}"]["ca_list_file"] = "/etc/old.pem"
    found = await taken.standings(ari, taken.by_trunk(text, ["t"]))  # type: ignore[arg-type]
    assert "restart Asterisk" in found["t"].differences[0]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (PAGE, "registered"),
        (PAGE.replace("} 1", "} 2"), "rejected"),
        (PAGE.replace("} 1", "} 0"), "unregistered"),
        (PAGE.replace("u@", "other@"), "unregistered"),
        ("", "unknown"),
    ],
)
def test_whether_it_is_registered(page, said):
    assert taken.registration(page, taken.by_trunk(TEXT, ["lab"])["lab"]) == said


def test_a_trunk_that_does_not_register_has_no_registration():
    plain = trunk_file(
        [TrunkLine(trunk=Trunk(id="lab", host="192.0.2.1"))],  # type: ignore[arg-type]
        Sip(),
    )
    assert taken.registration(PAGE, taken.by_trunk(plain, ["lab"])["lab"]) is None


async def test_of_many_trunks_the_list_is_asked_once():
    lines = [TrunkLine(trunk=Trunk(id=f"t{n}", host="192.0.2.1")) for n in range(20)]  # type: ignore[arg-type]
    text = trunk_file(lines, Sip())

    class Many(FakeAri):
        async def request(self, method: str, path: str, **_: Any) -> Any:
            if path == "/endpoints/PJSIP":
                self.asked.append(path)
                return [{"resource": f"trunk-t{n}", "state": "offline", "channel_ids": []} for n in range(20)]
            return await super().request(method, path)

    ari = Many()
    found = await taken.standings(ari, taken.by_trunk(text, [f"t{n}" for n in range(20)]))  # type: ignore[arg-type]
    assert {one.state for one in found.values()} == {"offline"}
    assert [path for path in ari.asked if "endpoints" in path] == ["/endpoints/PJSIP"]
