"""Ports for tests: what is given out is nobody else's until it is used."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.world import HTTP_PORTS, SIP_PORTS, free_ports


def test_ports_that_were_given_out_but_are_not_used_yet_are_not_given_again():
    seen: set[int] = set()
    for _ in range(12):
        first = free_ports(8, SIP_PORTS)
        ports = set(range(first, first + 9))
        assert not ports & seen, "with the port for TLS behind them"
        seen |= ports


def test_processes_of_one_run_have_parts_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    for place in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{place}")
        for _ in range(4):
            assert free_ports(2, range(16000, 16300)) in range(16000 + 100 * place, 16098 + 100 * place)


def test_a_port_that_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    first = free_ports(2, HTTP_PORTS, udp=False)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", first))
        busy.listen()
        with pytest.raises(AssertionError, match="no 2 free ports"):
            free_ports(2, range(first, first + 2), udp=False)
