"""The API keys that are valid: those of the environment, and those of a file that is read again when it changes.

Several are valid at once, so that a new one can be handed out before the old one goes. Keys stand in no log, no error
and no metric.
"""

import hashlib
import hmac
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from serving.settings import Settings

logger = logging.getLogger("ray.serve")

LOOK_SECONDS = 1.0
"""How often the file of keys is looked at, at most."""

LEAST_CHARACTERS = 16


class BadKeys(Exception):
    """The keys cannot be used; the message names the setting and no key."""


class Keys:
    """The keys that are valid now.

    Args:
        fixed: keys of the environment; valid until the process ends.
        file: a key a line; empty lines and those that begin with # do not count. None for no file.

    Raises:
        BadKeys: the file cannot be read, holds no key, or a key is too short.
    """

    def __init__(self, fixed: Iterable[str], file: Path | None) -> None:
        self._fixed = [_digest("api_keys", key) for key in fixed]
        self._file = file
        self._stamp: tuple[int, ...] = ()
        self._of_file: list[bytes] = []
        self._looked = time.monotonic()
        self._read()

    def accept(self, key: bytes) -> bool:
        """Whether the key is valid; takes as long for a wrong key as for a right one, whichever it is."""
        if self._file is not None and time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self._read()
            except BadKeys as error:
                logger.error("the keys of before stay valid: %s", error)
        asked = hashlib.sha256(key).digest()
        accepted = False
        for known in (*self._fixed, *self._of_file):
            accepted |= hmac.compare_digest(asked, known)
        return accepted

    def _read(self) -> None:
        if self._file is None:
            return
        try:
            state = self._file.stat()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if stamp == self._stamp:
                return
        except OSError as error:
            raise BadKeys(f"api_keys_file {self._file}: {error.strerror}") from None
        self._of_file = [_digest("api_keys_file", key) for key in keys_in(self._file)]
        self._stamp = stamp


def load_keys(settings: Settings) -> Keys | None:
    """The keys that the settings name; None when there are none and everybody may ask.

    Raises:
        BadKeys: see `Keys`.
    """
    fixed = fixed_keys(settings)
    return Keys(fixed, settings.api_keys_path) if fixed or settings.api_keys_path else None


def fixed_keys(settings: Settings) -> list[str]:
    """The keys of the environment."""
    return [key.strip() for key in settings.api_keys.get_secret_value().split(",") if key.strip()]


def keys_in(file: Path) -> list[str]:
    """The keys of a file, in its order.

    Raises:
        BadKeys: it cannot be read, or holds none.
    """
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except OSError as error:
        raise BadKeys(f"api_keys_file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadKeys(f"api_keys_file {file} is no text") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise BadKeys(f"api_keys_file {file} holds no key")
    return keys


def key_header(settings: Settings) -> dict[str, str]:
    """What shows a valid key, where one is needed."""
    keys = fixed_keys(settings) or (keys_in(settings.api_keys_path) if settings.api_keys_path else [])
    return {"X-API-Key": keys[0]} if keys else {}


def _digest(setting: str, key: str) -> bytes:
    if len(key) < LEAST_CHARACTERS:
        raise BadKeys(f"{setting}: a key needs at least {LEAST_CHARACTERS} characters")
    return hashlib.sha256(key.encode()).digest()
