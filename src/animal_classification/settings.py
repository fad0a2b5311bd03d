"""Deployment settings: where and how a server runs, from the environment (never what a model computes).

Every field is read from ``ANIMALS_`` and its name in capitals: ``ANIMALS_PORT=9000``. Options on the command line win.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from ipaddress import ip_network
from math import inf
from typing import TYPE_CHECKING, Any, get_type_hints

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024
PREFIX = "ANIMALS_"
_AT_LEAST_ONE = (
    "workers",
    "max_files",
    "max_file_bytes",
    "max_request_bytes",
    "max_pixels",
    "max_connections",
    "log_spool_bytes",
    "photo_bytes",
)
_AT_LEAST_ZERO = ("batch", "cache_size", "rate_limit", "follow", "drain", "grace", "log_days", "photo_days")
_FROM_THE_CONTAINER = ("max_memory_bytes", "max_decode_bytes")  # where they are 0
_SECONDS = ("max_wait", "keep_alive", "head_timeout", "body_timeout", "request_timeout")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
MOST_PROXIES = 20
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
KEEP_PHOTOS = ("no", "thumbnail", "original")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an operator decides.

    Attributes:
        host: Address to listen on; only this machine by default.
        port: TCP port; 0 takes a free one.
        model: What to serve, the default first: each a built-in name, a bundle's folder, an fsspec URL or a name of the
            registry, after ``NAME=`` where it shall go by another one.
        canary: ``NAME=MODEL@SHARE``: models that answer a share of the requests for another one.
        shadow: ``NAME=MODEL@SHARE``: models that are compared with another one, on a share of its answers.
        follow: Seconds between two looks whether there are newer versions; 0 to look at the start only.
        engine: ``auto``, ``openvino`` or ``onnxruntime``.
        threads: CPUs to use, by all workers together; 0 for all that the process may use.
        workers: Processes that answer.
        page: Serve the Classify page at ``/`` beside the API.
        gradio: Serve Gradio's front end at ``/gradio`` as well; with one worker, and where no keys are asked for.
        root_path: Under which prefix the world sees this server, such as ``/animals``.
        trusted_proxies: Whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed: addresses and networks, or
            how many proxies there are, or ``*`` for one of any address.
        allowed_hosts: Names under which this server answers beside its own: ``zoo.example``, ``*.zoo.example``; ``*``
            for all.
        cors: Origins whose pages may ask, such as ``https://zoo.example``; ``*`` for all.
        keys_file: Who may ask (``animals keys``); everybody where it is empty.
        rate_limit: Photos a minute for each API key, or for each address where no keys are asked for; 0 for any number.
        access_log: Write a line of JSON for each request, and the log as JSON.
        cache_size: Answers that are remembered, by the photo's hash; 0 for none.
        batch: Photos that one core infers at once, when so many wait; 0 for what is faster on this machine: 1, 2 or 4.
        max_files: Photos in one request.
        max_file_bytes: Bytes of one photo; a larger one is refused alone.
        max_request_bytes: Bytes of a whole request body with photos; held in memory, so this bounds what one client can
            claim. Bodies without photos have 16 kB.
        tracking_uri: MLflow's, for runs and the model registry; empty for SQLite in the output folder.
        max_memory_bytes: Bytes of all bodies that are held at once, by all workers together; more are answered with
            503. 0 for what the container's memory allows, at most 512 MiB.
        max_decode_bytes: Bytes in which photos are decoded, by all workers together; one that would take more is
            refused alone, the others wait for their turn. 0 for what the container's memory allows.
        max_pixels: Width times height that a photo may declare.
        max_connections: Clients connected at once, to each worker; for one more, one that only waits gives way.
        queue_size: Photos that wait for a core, in each worker; more are answered with 503.
        max_wait: Seconds that a photo may be expected to wait for a core; beyond it new ones are answered with 503.
        keep_alive: Seconds for which a connection is kept after an answer; more than a proxy in front keeps its own.
        head_timeout: Seconds in which a request's head must arrive.
        body_timeout: Seconds in which a request's body must arrive.
        request_timeout: Seconds from there in which it must be answered.
        drain: Seconds for which a server that is told to stop takes new requests, not being ready any more.
        grace: Seconds from there in which answers on their way are finished.
        prediction_log: Keep every prediction, so that people can review and monitor them.
        log_folder: Where predictions wait for the database, and photos are kept; empty for the user's data folder.
        log_url: The database, ``sqlite:///…`` or ``postgresql://…``; empty for SQLite in the folder.
        log_days: After how many days predictions, and what was said of them, are deleted; 0 for never.
        log_spool_bytes: Bytes of predictions that may wait on disk while the database is gone, of all workers together.
        keep_photos: ``no``, ``thumbnail`` or ``original``: what is kept of a photo for the review.
        photos_url: Where photos are kept, any fsspec URL such as ``gs://bucket/photos``, so that several replicas see
            them; empty for the folder.
        photo_days: After how many days a photo that was not sent again is deleted; 0 for never.
        photo_bytes: Bytes that all kept photos may have; beyond it the oldest are deleted.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    model: tuple[str, ...] = ("photos",)
    canary: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    follow: float = 10.0
    engine: str = "auto"
    threads: int = 0
    workers: int = 1
    page: bool = True
    gradio: bool = False
    root_path: str = ""
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    keys_file: str = ""
    rate_limit: float = 0.0
    access_log: bool = False
    cache_size: int = 0
    batch: int = 0
    max_files: int = 64
    max_file_bytes: int = 32 * MIB
    max_request_bytes: int = 256 * MIB
    tracking_uri: str = ""
    max_memory_bytes: int = 0
    max_decode_bytes: int = 0
    max_pixels: int = 100_000_000
    max_connections: int = 800
    queue_size: int = 256
    max_wait: float = 10.0
    keep_alive: float = 75.0
    head_timeout: float = 15.0
    body_timeout: float = 60.0
    request_timeout: float = 30.0
    drain: float = 0.0
    grace: float = 10.0
    prediction_log: bool = False
    log_folder: str = ""
    log_url: str = ""
    log_days: float = 90.0
    log_spool_bytes: int = 1024 * MIB
    keep_photos: str = "no"
    photos_url: str = ""
    photo_days: float = 30.0
    photo_bytes: int = 1024 * MIB

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port must be between 0 and 65535, not {self.port}")
        if self.threads < 0:
            raise UsageError(f"threads must be 0 (all) or more, not {self.threads}")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in _AT_LEAST_ZERO + _FROM_THE_CONTAINER:
            if not 0 <= getattr(self, name) < inf:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in _SECONDS:
            if not 0 < getattr(self, name) < inf:
                raise UsageError(f"{name} must be a number of seconds above 0, not {getattr(self, name)}")
        self._require_room("queue_size", "max_files")
        if self.max_memory_bytes:
            self._require_room("max_memory_bytes", "max_request_bytes")
        self._require_addresses()
        self._require_company()

    def _require_addresses(self) -> None:
        if self.root_path and not _PREFIX.fullmatch(self.root_path):
            raise UsageError(f"root_path must look like /animals, not {self.root_path!r}")
        if not _are_proxies(self.trusted_proxies):
            detail = "addresses and networks such as 10.0.0.0/8, or a number of proxies alone, or * alone"
            raise UsageError(f"trusted_proxies takes {detail}, not {', '.join(self.trusted_proxies)!r}")
        for host in self.allowed_hosts:
            if host != "*" and not _HOST.fullmatch(host):
                raise UsageError(f"allowed_hosts takes names such as zoo.example or *.zoo.example, not {host!r}")
        for origin in self.cors:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(f"cors takes origins such as https://zoo.example, not {origin!r}")

    def _require_company(self) -> None:
        """What only goes with something else, and what does not."""
        if self.keep_photos not in KEEP_PHOTOS:
            raise UsageError(f"keep_photos is one of {', '.join(KEEP_PHOTOS)}, not {self.keep_photos!r}")
        if self.keep_photos != "no" and not self.prediction_log:
            raise UsageError("keep_photos needs prediction_log: photos are kept to review predictions")
        if self.gradio and self.workers > 1:
            raise UsageError(
                "gradio needs workers=1: its sessions live in one process; the page at / has no such limit"
            )
        if self.gradio and self.keys_file:
            raise UsageError("gradio cannot ask with API keys; leave out keys_file, or use the page at /, which can")

    def _require_room(self, whole: str, part: str) -> None:
        if getattr(self, whole) < getattr(self, part):
            raise UsageError(f"{whole} is {getattr(self, whole)}; it must be at least {part}, {getattr(self, part)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings that the environment names; the others keep their defaults.

        Raises:
            UsageError: A value cannot be read; names the variable.
        """
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if text := environment.get(variable, "").strip():
                values[field.name] = _parse(variable, text, types[field.name])
        return cls(**values)


def _are_proxies(words: tuple[str, ...]) -> bool:
    alone = words[0] if len(words) == 1 else ""
    if alone == "*" or (alone.isascii() and alone.isdecimal()):
        return alone == "*" or 1 <= int(alone) <= MOST_PROXIES
    try:
        return all("*" not in word and ip_network(word, strict=False) for word in words)
    except ValueError:
        return False


def _parse(variable: str, text: str, kind: Any) -> object:
    if kind is bool:
        word = text.casefold()
        if word not in _TRUE | _FALSE:
            raise UsageError(f"{variable} must be 1 or 0, not {text!r}")
        return word in _TRUE
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise UsageError(f"{variable} must be {what}, not {text!r}") from None
    return text if kind is str else split_list(text)


def split_list(text: str) -> tuple[str, ...]:
    """Words joined by commas.

    >>> split_list("https://a.example, https://b.example")
    ('https://a.example', 'https://b.example')
    """
    return tuple(word.strip() for word in text.split(",") if word.strip())
