"""The shell scripts: where they would get Asterisk from, and that they are plain POSIX."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "tools" / "asterisk-root.sh"
SHELL_FILES = [ROOT / "dev", SCRIPT, ROOT / "docker" / "asterisk" / "start"]

ONE_LINE = "deb http://mirror.example/debian {codename} main contrib"


def source(etc: Path, **files: str) -> str:
    """The stanza for testing, from these files (``list``, ``x_list``, ``x_sources``) in a folder like /etc/apt."""
    (etc / "sources.list.d").mkdir(parents=True)
    names = {
        "list": "sources.list",
        "x_list": "sources.list.d/x.list",
        "x_sources": "sources.list.d/x.sources",
    }
    codename = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    for key, text in files.items():
        (etc / names[key]).write_text(text.replace("{codename}", codename[1] if codename else "stable"))
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), "--source", "testing"],
        env={"PATH": "/usr/bin:/bin", "OBZVON_APT_ETC": str(etc)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def keys(stanza: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+): ?(.*)$", stanza, re.MULTILINE))


def test_a_one_line_source(tmp_path):
    found = keys(source(tmp_path, list=f"# deb http://no.example/debian x main\n{ONE_LINE}\n"))
    assert found == {
        "Types": "deb",
        "URIs": "http://mirror.example/debian",
        "Suites": "testing",
        "Components": "main",
        "Check-Valid-Until": "no",
    }


def test_a_one_line_source_with_options(tmp_path):
    line = "deb [ arch=amd64 signed-by=/usr/share/keyrings/k.gpg ] https://mirror.example/debian stable main"
    found = keys(source(tmp_path, x_list=f"{line}\ndeb-src https://mirror.example/debian stable main\n"))
    assert found["URIs"] == "https://mirror.example/debian"
    assert found["Signed-By"] == "/usr/share/keyrings/k.gpg"


def test_a_deb822_source_with_comments_and_several_suites(tmp_path):
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian http://other.example/debian\n"
        "Suites: {codename} {codename}-updates\nComponents: main\nSigned-By: /k.pgp\n"
    )
    found = keys(source(tmp_path, x_sources=text))
    assert found["URIs"] == "http://mirror.example/debian"
    assert found["Types"] == "deb"
    assert found["Signed-By"] == "/k.pgp"


def test_a_key_within_the_source_is_kept_whole(tmp_path):
    text = (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: {codename}\nComponents: main\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQIN\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    assert source(tmp_path, x_sources=text).endswith(
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQIN\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "deb http://mirror.example/debian-security {codename}-security main\n",
        "deb http://packages.example/apt nodistro main\n",
        "# deb http://mirror.example/debian {codename} main\n",
        "deb-src http://mirror.example/debian {codename} main\n",
        "",
    ],
)
def test_other_sources_are_not_taken(tmp_path, text):
    assert source(tmp_path, list=text) == ""


def test_a_disabled_source_is_not_taken(tmp_path):
    text = "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: {codename}\nComponents: main\n"
    assert keys(source(tmp_path, x_sources=text, list=ONE_LINE))["URIs"] == "http://mirror.example/debian"


@pytest.mark.parametrize("script", SHELL_FILES, ids=lambda path: path.name)
def test_a_plain_shell_reads_it(script):
    subprocess.run(["/bin/sh", "-n", str(script)], check=True)
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("script", [*SHELL_FILES, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_no_host_is_named(script):
    assert not re.search(r"https?://", script.read_text())


def test_an_unknown_task_is_a_clear_error():
    done = subprocess.run([str(ROOT / "dev"), "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no such task: nonsense" in done.stderr
    listed = subprocess.run([str(ROOT / "dev"), "help"], capture_output=True, text=True, check=True).stdout
    for task in ("demo", "test", "check", "bench", "shell", "setup"):
        assert f"./dev {task}" in listed


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ((), None),
        (("mypy",), "mypy"),
        (("pytest",), "pytest"),
        (("ruff", "pytest", "shellcheck"), "ruff ruff pytest shellcheck"),
    ],
    ids=lambda one: "+".join(one) if isinstance(one, tuple) else "",
)
def test_check_tells_all_that_failed_also_beside_the_tests(tmp_path, failing, told):
    """With programs that only say their name, and fail or do not."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    text, count = re.subn(
        r"^ +setup\n +check_all$", "check_all", (ROOT / "dev").read_text(), flags=re.MULTILINE
    )
    assert count == 1
    (tmp_path / "dev").write_text(text)
    for name in ("ruff", "mypy", "lint-imports", "shellcheck", "pytest"):
        (programs / name).write_text(f"#!/bin/sh\necho said by {name}\nexit {int(name in failing)}\n")
        (programs / name).chmod(0o700)
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / "dev"), "check"], capture_output=True, text=True, check=False
    )
    for name in ("ruff", "mypy", "lint-imports", "shellcheck", "pytest"):
        assert f"said by {name}" in done.stdout
    assert done.returncode == (1 if told else 0)
    if told:
        assert f"dev: failed: {told}\n" in done.stderr
    else:
        assert "all is well" in done.stdout


def test_every_requirement_is_locked():
    """What setup.cfg asks for stands in the lock file with one version."""
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    locked = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    asked = re.findall(r"^    ([\w-]+) >= [\d.]+$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert len(asked) > 15
    assert not [name for name in asked if name.lower() not in locked]
