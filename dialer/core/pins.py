"""PINs of operators who work from an outside line: what is kept of one, and whether one fits.

A PIN is eight digits, made by us: people would choose their birthday. What is kept is a salted hash
(scrypt, RFC 7914) in one line: ``scrypt:N:r:p:salt:hash``. With N = 2^14, r = 8, p = 1 a check takes some 50 to 70 ms and
16 MB, for a guess as for an operator.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

DIGITS: Final = 8
N: Final = 2**14
R: Final = 8
P: Final = 1
SALT_BYTES: Final = 16

_KEPT = re.compile(r"scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2}):([0-9a-f]{32}):([0-9a-f]{64})\Z", re.ASCII)


def keep(pin: str, salt: bytes) -> str:
    """What is kept of *pin*. *salt*: :data:`SALT_BYTES` random bytes, another for each PIN."""
    return f"scrypt:{N}:{R}:{P}:{salt.hex()}:{_hash(pin, salt, N, R, P).hex()}"


def fits(pin: str, kept: str) -> bool:
    """Whether *pin* is the one of which *kept* was kept; compared in constant time.

    What is kept badly, or not at all (""), fits nothing, and takes as long.
    """
    found = _KEPT.match(kept)
    if found is None:
        _hash(pin, bytes(SALT_BYTES), N, R, P)
        return False
    n, r, p = (int(found[place]) for place in (1, 2, 3))
    try:
        made = _hash(pin, bytes.fromhex(found[4]), n, r, p)
    except ValueError:  # no power of two, say, or it would take more memory than any of ours does
        return False
    return hmac.compare_digest(made, bytes.fromhex(found[5]))


def _hash(pin: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=r, p=p, maxmem=2**27, dklen=32)
