"""Make the transcripts of ``data/`` anew, from the real Asterisk: ``python tests/contract/record.py``.

Run it after a change of what the client asks for, or for a new version of Asterisk; read the
difference before it is committed, for it is what Asterisk changed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ["OBZVON_RECORD_TRANSCRIPTS"] = "1"
    folder = Path(__file__).resolve().parent
    sys.exit(pytest.main(["-m", "asterisk", "-q", str(folder), *sys.argv[1:]]))
