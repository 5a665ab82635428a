"""Sounds for the dialplan: spoken by espeak-ng, recorded, or joined of others; each is a file under the hash of what it says.

So a text is spoken once, whoever says it, and a file never changes: a call that is being told something now goes on being told it.
Recorded files (``prompts/NAME.wav``) are copied as they are now. All of it touches the disk and runs programs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import sys
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dialer.core.conduct import Language
from dialer.core.paths import PATH_ALLOWED, bad_in_path
from dialer.pbx.phrases import VOICES
from dialer.pbx.speech import RATE_HZ, NoVoice, SpeechError, VoiceHangs, speak

CACHE_FOLDER = "cache"
RECORDED_S_MAX = 300.0
"""A recorded file is no longer."""
PAUSE_S = 0.25
"""Between two sounds that are joined."""
_VOICE_VERSION = 1
"""Another one makes all sounds anew."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.wav\Z")


class BadSound(Exception):
    """A recorded file cannot be used; the message names it and says what is allowed."""


class SoundCache:
    """The sounds of the folder of recorded files *folder*, in ``cache`` below it. Paths are told without an ending, as Asterisk takes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = folder / CACHE_FOLDER
        self._is_mute = False
        """espeak-ng is missing, or hung: it is not tried again before the next :meth:`open`."""
        self.is_over = False
        """Set by who stops: nothing more is spoken."""

    def open(self) -> None:
        """Make the folders, and try the voice again. Raises OSError."""
        self._is_mute = False
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)

    def spoken_before(self, text: str, language: Language) -> str | None:
        """The sound of *text*, if it was made before."""
        path = self._cached(_key(text, language))
        return str(path.with_suffix("")) if path.exists() else None

    def joined(self, sounds: Sequence[str]) -> str:
        """*sounds* as one, so that the dialplan can say it by itself."""
        path = self._cached(hashlib.sha256("\0".join(["joined", *sounds]).encode()).hexdigest())
        if not path.exists():
            parts = []
            for sound in sounds:
                with wave.open(f"{sound}.wav", "rb") as file:
                    parts.append(file.readframes(file.getnframes()))
            write_whole(path, _wav(bytes(int(2 * PAUSE_S * RATE_HZ)).join(parts)))
        return str(path.with_suffix(""))

    def spoken(self, text: str, language: Language, what: str, cautions: list[str]) -> str | None:
        """The sound of *text*, made if it was never made; its path without an ending. None: a caution says why."""
        path = self._cached(_key(text, language))
        if not path.exists():
            if self._is_mute or self.is_over:
                return None
            try:
                samples = speak(text, language)
            except SpeechError as error:
                self._is_mute = isinstance(error, NoVoice | VoiceHangs)
                cautions.append(_caution(error, what))
                return None
            write_whole(path, _wav(_bytes(samples)))
        return str(path.with_suffix(""))

    def recorded(self, name: str) -> str:
        """A recorded file, as it is now, in the cache. Raises BadSound."""
        content = self.read(name)
        path = self._cached(hashlib.sha256(b"recorded\0" + content).hexdigest())
        if not path.exists():
            write_whole(path, content)
        return str(path.with_suffix(""))

    def read(self, name: str) -> bytes:
        """A recorded file that was checked. Raises BadSound."""
        path = self._folder / name
        stem = name.rpartition("/")[2]
        if not _NAME.match(stem) or name.count("/") > 1 or ".." in name:
            raise BadSound(
                f"{name!r} is no name of a recorded file: letters, digits, - and _, ending in .wav"
            )
        try:
            with wave.open(str(path), "rb") as file:
                form = (file.getnchannels(), 8 * file.getsampwidth(), file.getframerate())
                length_s = file.getnframes() / file.getframerate()
            content = path.read_bytes()
        except FileNotFoundError:
            raise BadSound(f"{path} is not there") from None
        except OSError as error:
            raise BadSound(f"{path} cannot be read: {error.strerror}") from None
        except (wave.Error, EOFError, ZeroDivisionError) as error:
            raise BadSound(
                f"{path} is no WAV file with plain samples (PCM): {str(error) or 'it is cut short'}"
            ) from None
        if form != (1, 16, RATE_HZ):
            says = f"{form[0]} channel{'s' if form[0] > 1 else ''}, {form[1]} bit, {form[2]} Hz"
            raise BadSound(f"{path} has {says}; telephones take 1 channel, 16 bit, {RATE_HZ} Hz")
        if not 0 < length_s <= RECORDED_S_MAX:
            raise BadSound(
                f"{path} lasts {length_s:.0f} s; allowed is more than nothing and at most {RECORDED_S_MAX:.0f} s"
            )
        return content

    def _cached(self, key: str) -> Path:
        path = self._cache / f"{key}.wav"
        if (fault := bad_in_path(str(path))) is not None:
            raise OSError(f"{path} {fault}; allowed: {PATH_ALLOWED}")
        return path


def _key(text: str, language: Language) -> str:
    said = msgspec.json.encode([_VOICE_VERSION, language, VOICES[language], " ".join(text.split())])
    return hashlib.sha256(said).hexdigest()


def _caution(error: SpeechError, what: str) -> str:
    if isinstance(error, NoVoice):
        return (
            f"{error}: without it people hear Asterisk's recorded sounds, and are offered no choice by a key"
        )
    return f"{what} cannot be spoken: {error}"


def _bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def _wav(body: bytes) -> bytes:
    """A file of 8 kHz, one channel, 16 bit with these samples."""
    with io.BytesIO() as made:
        with wave.open(made, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(body)
        return made.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(
            os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
