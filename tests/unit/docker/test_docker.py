"""The containers' files agree with the project and with each other. (They are not built here.)"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dialer.store.files import load_system

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(ROOT.glob("docker/*/Dockerfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
HOME = "/var/lib/obzvon"


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


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "obzvon.toml").write_text((DOCKER / "obzvon.toml").read_text())
    return load_system(tmp_path)


def test_compose_is_as_the_settings_say(settings):
    """Of each server: its container, and its ports to the outside; nothing else is published to everybody."""
    wanted = set()
    for name, server in settings.servers.items():
        ports = server.ports
        assert server.mode == "external"
        assert server.url == f"http://127.0.0.1:{ports.http}/ari"
        assert ports.sip_address == "0.0.0.0"
        assert SERVICES[f"asterisk-{name}"]["environment"] == {"OBZVON_SERVER": name}
        wanted |= {f"{ports.sip}:{ports.sip}/udp", f"{ports.sip}:{ports.sip}/tcp"}
    voice = sorted(
        (one.ports.rtp, one.ports.rtp + one.ports.rtp_count - 1) for one in settings.servers.values()
    )
    assert voice[0][1] + 1 == voice[1][0], "the ranges follow each other and do not overlap"
    first, last = voice[0][0], voice[-1][1]
    wanted.add(f"{first}-{last}:{first}-{last}/udp")
    published = {one for service in SERVICES.values() for one in service.get("ports", ())}
    assert {one for one in published if not one.startswith("127.0.0.1:")} == wanted
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"network"}
    assert sum(name.startswith("asterisk-") for name in SERVICES) == len(settings.servers) == 2
    assert settings.redis.url.removeprefix("unix://") in SERVICES["valkey"]["command"]
    assert "--maxmemory-policy noeviction" in " ".join(SERVICES["valkey"]["command"])


def test_metrics_are_where_prometheus_looks_and_grafana_asks_prometheus(settings):
    where = f"{settings.metrics.address}:{settings.metrics.port}"
    assert settings.metrics.address == "127.0.0.1"
    prometheus = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert (job["job_name"], job["static_configs"]) == ("obzvon", [{"targets": [where]}])
    assert f"http://{where}/health/live" in str(SERVICES["engine"]["healthcheck"]["test"])
    (source,) = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    listens = next(one for one in SERVICES["prometheus"]["command"] if "listen" in one).partition("=")[2]
    assert source["url"] == f"http://{listens}"
    assert listens.startswith("127.0.0.1:")
    port = SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_PORT"]
    assert f"127.0.0.1:{port}:{port}/tcp" in SERVICES["network"]["ports"]


def test_what_is_mounted_and_named_exists():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                assert (DOCKER / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"
                assert target in (HOME, "/var/lib/watch")
    prometheus = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())
    mounted = {one.split(":")[1] for one in SERVICES["prometheus"]["volumes"]}
    assert set(prometheus["rule_files"]) <= mounted
    command = SERVICES["prometheus"]["command"]
    assert next(one for one in command if "config.file" in one).partition("=")[2] in mounted
    (provider,) = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/obzvon.yaml").read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in SERVICES["grafana"]["volumes"]
    home_page = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (DOCKER / "grafana/dashboards" / home_page.relative_to(folder)).exists()


def test_who_watches_sees_none_of_the_centre_s_files():
    for name in ("prometheus", "grafana"):
        assert not any(HOME in one for one in SERVICES[name]["volumes"]), name


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_as_few_rights_as_can_be(name):
    service = SERVICES[name]
    assert "image" in service
    assert service["user"] == "10001:10001"
    assert not service.get("privileged")
    assert service["network_mode" if name != "network" else "ports"]
    if name == "init":
        assert service["network_mode"] == "none"
        return
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_only_known_neighbours_are_waited_for():
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            assert other in SERVICES, name
        if service.get("network_mode", "").startswith("service:"):
            assert service["network_mode"] == "service:network"
    assert SERVICES["valkey"]["network_mode"] == "none"


def test_the_settings_have_no_more_than_what_is_needed_here():
    document = tomllib.loads((DOCKER / "obzvon.toml").read_text())
    assert document["log_format"] == "json", "the output of a container is collected by programs"


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.y*ml")), ids=lambda path: path.name)
def test_yaml_is_well_formed(path):
    assert path.suffix == ".yaml"
    assert isinstance(yaml.safe_load(path.read_text()), dict)
