"""The containers' files agree with the project and with each other. (They are not built here.)"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dialer.store.files import load_system

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILES = sorted(ROOT.glob("docker/*/Dockerfile"))
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_copied_exists(path):
    text = path.read_text().replace("\\\n", " ")
    copied = [
        source
        for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]
    assert copied
    missing = [source for source in copied if not (ROOT / source).exists()]
    assert missing == []


def test_the_package_lists_are_the_ones_that_the_private_root_is_made_from():
    engine = (ROOT / "docker/engine/Dockerfile").read_text()
    asterisk = (ROOT / "docker/asterisk/Dockerfile").read_text()
    assert "tools/packages-host.txt" in engine
    assert "packages-host.txt" in (ROOT / "dev").read_text()
    assert "tools/packages-asterisk.txt" in asterisk
    assert "packages-asterisk.txt" in (ROOT / "tools/asterisk-root.sh").read_text()
    # no package is named beside the lists
    for text in (engine, asterisk):
        assert not re.search(r"apt-get install [^|&\n]*\b[a-z][a-z0-9-]+\b\s*\\?\n(?!\s*&&)", text)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_no_container_runs_as_root(path):
    users = re.findall(r"^USER (\S+)$", path.read_text(), re.MULTILINE)
    assert users[-1] == "10001:10001"


def test_compose_is_as_the_settings_say(tmp_path):
    settings_file = ROOT / "docker" / "obzvon.toml"
    (tmp_path / "obzvon.toml").write_text(settings_file.read_text())
    settings = load_system(tmp_path)
    assert settings.asterisk.mode == settings.redis.mode == "external"
    assert settings.asterisk.url == f"http://127.0.0.1:{settings.ports.http}/ari"
    assert settings.redis.url.removeprefix("unix://") in COMPOSE
    last = settings.ports.rtp + settings.ports.rtp_count - 1
    published = re.findall(r'^      - "(\d[\d-]*):(\d[\d-]*)/(udp|tcp)"$', COMPOSE, re.MULTILINE)
    sip, rtp = str(settings.ports.sip), f"{settings.ports.rtp}-{last}"
    assert published == [(sip, sip, "udp"), (sip, sip, "tcp"), (rtp, rtp, "udp")]
    assert tomllib.loads(settings_file.read_text())["ports"]["sip_address"] == "0.0.0.0"


def test_compose_is_the_shape_that_compose_reads():
    """Without a YAML reader: no tabs, even indentation, and every service names an image and no root."""
    assert "\t" not in COMPOSE
    for line in COMPOSE.splitlines():
        assert (len(line) - len(line.lstrip())) % 2 == 0, line
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    parts = re.split(r"^  (\w+):\n", services, flags=re.MULTILINE)[1:]
    names, bodies = parts[::2], parts[1::2]
    assert names == ["init", "asterisk", "valkey", "engine"]
    for name, body in zip(names, bodies, strict=True):
        assert "image: " in body, name
        assert "<<: *ours" in body or 'user: "10001:10001"' in body, name
    assert "network_mode: service:asterisk" in bodies[names.index("engine")]
    assert "network_mode: none" in bodies[names.index("valkey")]
    assert "privileged: true" not in COMPOSE
