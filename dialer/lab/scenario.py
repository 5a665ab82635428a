"""Composes SIPp scenarios out of small files, one for each behaviour.

SIPp runs one scenario in one process, but a network is full of people who differ, and a desk
phone does one thing after another. So a scenario is put together here from *fragments*:
well-formed XML files whose root is ``<fragment>`` and whose children are SIPp's own elements
(``send``, ``recv``, ``pause``, ``nop``, ``label``, ...) or the name of another fragment of the
same folders, which is put in its place::

    <fragment>
      <respond status="180 Ringing"/>
      <pause variable="ring_ms"/>
    </fragment>

Attributes of such a reference are parameters: ``{status}`` in the included fragment is
replaced by the value; what is included further down sees them too. ``{n}`` is a number that is different at each inclusion, for labels.
What SIPp calls a keyword stands in square brackets and passes through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from dialer.lab.errors import LabError

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_DEPTH_MAX = 8


class Library:
    """The fragments in *folders*, by file name without its ending."""

    def __init__(self, *folders: Path) -> None:
        self._fragments: dict[str, ET.Element] = {}
        for folder in folders:
            for path in sorted(folder.glob("*.xml")):
                root = ET.parse(path).getroot()  # noqa: S314 - our own files
                if root.tag != "fragment":
                    raise LabError(f"{path}: the root element is <{root.tag}>, not <fragment>")
                if path.stem in self._fragments:
                    raise LabError(f"{path}: another fragment has this name")
                self._fragments[path.stem] = root
        self._numbers = count(1)

    def expand(self, name: str, parameters: Mapping[str, str] = {}) -> list[str]:
        """The SIPp elements of fragment *name*, as lines of XML."""
        return self._expand(name, dict(parameters), _DEPTH_MAX)

    def compose(self, title: str, parts: Iterable[str]) -> str:
        """A whole scenario of *parts*: elements as :meth:`expand` gives them."""
        return "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8" ?>',
                f"<scenario name={_quoted(title)}>",
                *parts,
                "</scenario>",
                "",
            ]
        )

    def _expand(self, name: str, parameters: dict[str, str], depth: int) -> list[str]:
        if name not in self._fragments:
            raise LabError(f"there is no fragment {name!r}")
        if not depth:
            raise LabError(f"fragment {name!r} includes itself")
        values = parameters | {"n": str(next(self._numbers))}
        lines: list[str] = []
        for child in self._fragments[name]:
            if child.tag in self._fragments:
                given = {key: _fill(value, values, name) for key, value in child.attrib.items()}
                lines += self._expand(child.tag, parameters | given, depth - 1)
            else:
                lines.append(_written(child, values, name))
        return lines


def _fill(text: str, values: Mapping[str, str], where: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise LabError(f"fragment {where!r} needs the parameter {match[1]!r}")
        return values[match[1]]

    return _PARAMETER.sub(value, text)


def _written(element: ET.Element, values: Mapping[str, str], where: str) -> str:
    attributes = "".join(
        f" {key}={_quoted(_fill(value, values, where))}" for key, value in element.attrib.items()
    )
    children = "".join(_written(child, values, where) for child in element)
    text = dedent(element.text or "").strip()
    if text:
        # SIPp wants an empty line before a message, and two after one without a body.
        children = f"<![CDATA[\n\n{_fill(text, values, where)}\n\n]]>"
    if not children:
        return f"<{element.tag}{attributes}/>"
    return f"<{element.tag}{attributes}>{children}</{element.tag}>"


def _quoted(value: str) -> str:
    # SIPp's own XML reader knows double quotes only.
    return f'"{escape(value, {chr(34): "&quot;"})}"'
