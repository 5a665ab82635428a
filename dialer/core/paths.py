"""Which paths Asterisk's dialplan takes unharmed, said once for all who write or check one."""

from __future__ import annotations

import re

PATH_ALLOWED = "an absolute path without , ; | & $ ` ' \" < > ( ) { } [ ] \\ and control characters, in UTF-8"
"""What :func:`bad_in_path` lets through, in words."""

# Commas part the arguments of an application; the rest means something to the dialplan, to a
# configuration file or to a shell. A lone surrogate is a byte that is not UTF-8.
_UNSAFE = re.compile(r"""[,;|&$`'"<>(){}\[\]\\\x00-\x1f\x7f\ud800-\udfff]""")


def bad_in_path(path: str) -> str | None:
    """What in *path* could not be handed to the dialplan, in words; None if it is as :data:`PATH_ALLOWED`."""
    if not path.startswith("/"):
        return "is not absolute"
    found = _UNSAFE.search(path)
    return f"holds {found.group()!a}" if found else None
