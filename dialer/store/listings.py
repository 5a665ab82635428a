"""Listings of what was set: campaigns, agents, lists, as rows for people."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from dialer.store.rows import dicts

Listed = Literal["campaigns", "agents", "lists"]


def rows(connection: sqlite3.Connection, what: Listed) -> list[dict[str, Any]]:
    """Plain rows for a listing of ``campaigns``, ``agents`` or ``lists``."""
    return dicts(connection.execute(_SQL[what]))


_SQL: dict[Listed, str] = {
    "campaigns": (
        "SELECT id, title, state, mode, priority, trunk,"
        " (SELECT group_concat(list, ', ') FROM campaign_lists l WHERE l.campaign = campaigns.id) AS lists,"
        " (SELECT count(*) FROM leads l WHERE l.campaign = campaigns.id AND l.finished IS NULL) AS leads_unfinished,"
        " (SELECT count(*) FROM leads l WHERE l.campaign = campaigns.id AND l.finished IS NOT NULL) AS leads_finished"
        " FROM campaigns ORDER BY priority, id"
    ),
    "agents": "SELECT id, name, phone, leg, campaigns, state, reason, since FROM agents ORDER BY id",
    "lists": (
        "SELECT id, title, created_at, (SELECT count(*) FROM contacts c WHERE c.list = lists.id) AS contacts"
        " FROM lists ORDER BY id"
    ),
}
