"""Deployment settings: where and how a server runs, from the environment (never what a model computes).

Each field is read from ``ANIMALS_`` and its name in capitals: ``ANIMALS_PORT=9000``. Options on the command line win.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from math import inf
from typing import TYPE_CHECKING, Any, get_type_hints

from animal_classification.common.durations import seconds_of
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
_AT_LEAST_ZERO = (
    "batch",
    "cache_size",
    "rate_limit",
    "follow",
    "drain",
    "grace",
    "log_days",
    "photo_days",
    "audit_per_day",
)
_FROM_THE_CONTAINER = ("max_memory_bytes", "max_decode_bytes")  # where they are 0
_SECONDS = ("max_wait", "keep_alive", "head_timeout", "body_timeout", "request_timeout")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
MOST_PROXIES = 20
MOST_SOURCES = 50
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
KEEP_PHOTOS = ("no", "thumbnail", "original")


def setting(default: Any, words: str) -> Any:
    """A field of :class:`Settings`; its metadata has ``help``."""
    return field(default=default, metadata={"help": words})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What an operator decides; each field says in ``help`` what it is, as ``animals serve --help`` shows it."""

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all of this machine's.")
    port: int = setting(8080, "TCP port; 0 takes a free one.")
    workers: int = setting(1, "Processes that answer on the port; the cores are divided among them.")
    threads: int = setting(0, "CPUs to use, by all workers together; 0 for all.")
    model: tuple[str, ...] = setting(
        ("photos",),
        "A built-in name, a bundle's folder, its URL, or NAME@production of the registry; NAME=MODEL to call it "
        "otherwise. May be repeated: the first is the default.",
    )
    canary: tuple[str, ...] = setting(
        (), "NAME=MODEL@SHARE: a model that answers a share of the requests for NAME, such as 0.1. May be repeated."
    )
    shadow: tuple[str, ...] = setting(
        (),
        "NAME=MODEL@SHARE: a model that is compared with NAME on a share of its answers, and does not answer "
        "itself. May be repeated.",
    )
    follow: float = setting(
        10.0, "Seconds between two checks for newer versions of the models; 0 to keep those of the start."
    )
    tracking_uri: str = setting("", "MLflow's address, for the model registry.")
    detector: str = setting(
        "", "Finds animals as boxes where a request asks for detections: lite, or a detector's name or folder."
    )
    engine: str = setting("auto", "auto, onnxruntime, openvino or onnxruntime-cuda.")
    page: bool = setting(True, "Serve the Classify page at / beside the API.")
    gradio: bool = setting(False, "Serve Gradio's front end at /gradio as well; with one worker, and without keys.")
    root_path: str = setting("", "The path prefix under which a proxy serves this, such as /animals.")
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Proxies whose X-Forwarded-For and -Proto are trusted: addresses and networks, joined by commas; or how "
        "many proxies stand in front; * for one.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names to answer under, beside this machine's own and addresses: zoo.example, *.zoo.example, joined "
        "by commas; * for all.",
    )
    cors: tuple[str, ...] = setting((), "Origins whose pages may use the API, joined by commas; * for all.")
    keys_file: str = setting("", "File of API keys (animals keys); requests without one of them are refused.")
    rate_limit: float = setting(0.0, "Photos a minute for each key, or each address without keys; 0 for any number.")
    access_log: bool = setting(False, "A line of JSON on stdout for each request.")
    cache_size: int = setting(0, "Answers to cache, by the photo's hash.")
    batch: int = setting(0, "Photos in a batch at most; 0 for what is fastest on this machine.")
    max_files: int = setting(64, "Photos in one request.")
    max_file_bytes: int = setting(32 * MIB, "Bytes of one photo.")
    max_request_bytes: int = setting(256 * MIB, "Bytes of one request with photos; others have 16 kB.")
    max_memory_bytes: int = setting(
        0, "Bytes of all requests together, in all workers; 0 for a share of the container's memory."
    )
    max_decode_bytes: int = setting(0, "Bytes of memory in which photos are decoded; 0 for a share of the container's.")
    max_pixels: int = setting(100_000_000, "Width times height that a photo may declare.")
    max_connections: int = setting(
        800, "Clients connected at once to each worker; beyond that, one that is idle or slow is disconnected."
    )
    queue_size: int = setting(256, "Photos that wait for a core, in each worker; 503 beyond.")
    max_wait: float = setting(10.0, "Longest expected wait of a photo for a core, in seconds; 503 beyond.")
    keep_alive: float = setting(
        75.0, "Seconds for which an idle connection is kept; set it above that of a proxy in front."
    )
    head_timeout: float = setting(15.0, "Seconds in which a request's head must arrive.")
    body_timeout: float = setting(60.0, "Seconds in which a request's body must arrive.")
    request_timeout: float = setting(30.0, "Seconds after that in which the answer must begin.")
    drain: float = setting(
        0.0, "Seconds for which a stopping server still accepts requests, while it reports that it is not ready."
    )
    grace: float = setting(10.0, "Seconds after that in which requests in progress are answered.")
    prediction_log: bool = setting(False, "Keep every prediction, for the review and for animals monitor.")
    log_folder: str = setting(
        "", "Where predictions wait for the database, and photos are kept; the user's data folder by default."
    )
    log_url: str = setting("", "The log's database, sqlite:///… or postgresql://…; SQLite in the folder by default.")
    log_days: float = setting(90.0, "After how many days predictions are deleted; 0 for never.")
    keep_corrections: bool = setting(
        True,
        "Keep predictions that people reviewed, and their photos, whatever their age; animals monitor forget deletes "
        "single ones.",
    )
    audit_per_day: float = setting(
        50.0, "About how many photos a day are chosen for people to look at, so that accuracy is known; 0 for none."
    )
    drift_every: str = setting(
        "", "Judge drift on the prediction log this often, such as 15m; one process does it. Empty for never."
    )
    drift_window: int = setting(200, "Photos that are judged together, 100 to 2000; one of each burst.")
    drift_sources: tuple[str, ...] = setting(
        (), "Cameras or sites that are judged by themselves, beside all together, joined by commas; at most 50."
    )
    log_spool_bytes: int = setting(1024 * MIB, "Bytes of predictions that may wait on disk while the database is gone.")
    keep_photos: str = setting("no", "What is kept of photos for the review: no, thumbnail or original.")
    photos_url: str = setting(
        "", "Where photos are kept, such as gs://bucket/photos for several replicas; in the folder by default."
    )
    photo_days: float = setting(30.0, "After how many days a photo is deleted; 0 for never.")
    photo_bytes: int = setting(1024 * MIB, "Bytes that all kept photos may have; beyond it the oldest are deleted.")

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
        self._require_at_least("queue_size", "max_files")
        if self.max_memory_bytes:
            self._require_at_least("max_memory_bytes", "max_request_bytes")
        self._require_addresses()
        self._require_combinations()

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

    def _require_combinations(self) -> None:
        """Settings that need, or exclude, each other."""
        if self.keep_photos not in KEEP_PHOTOS:
            raise UsageError(f"keep_photos is one of {', '.join(KEEP_PHOTOS)}, not {self.keep_photos!r}")
        if self.keep_photos != "no" and not self.prediction_log:
            raise UsageError("keep_photos needs prediction_log: photos are kept to review predictions")
        self._require_drift()
        if self.gradio and self.workers > 1:
            raise UsageError(
                "gradio needs workers=1: its sessions live in one process; the page at / has no such limit"
            )
        if self.gradio and self.keys_file:
            raise UsageError("gradio cannot ask with API keys; leave out keys_file, or use the page at /, which can")

    def _require_drift(self) -> None:
        if self.drift_every:
            seconds_of(self.drift_every)
            if not self.prediction_log:
                raise UsageError("drift_every needs prediction_log: drift is judged on what the log keeps")
        if not 100 <= self.drift_window <= 2000:
            raise UsageError(f"drift_window must be between 100 and 2000, not {self.drift_window}")
        if len(self.drift_sources) > MOST_SOURCES:
            raise UsageError(f"drift_sources takes at most {MOST_SOURCES} names, not {len(self.drift_sources)}")

    def _require_at_least(self, whole: str, part: str) -> None:
        if getattr(self, whole) < getattr(self, part):
            raise UsageError(f"{whole} is {getattr(self, whole)}; it must be at least {part}, {getattr(self, part)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings that the environment names; the others keep their defaults.

        Raises:
            UsageError: A value cannot be read; names the variable.
        """
        values: dict[str, Any] = {}
        for name, kind in get_type_hints(cls).items():
            variable = PREFIX + name.upper()
            if text := environment.get(variable, "").strip():
                values[name] = _parse(variable, text, kind)
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
