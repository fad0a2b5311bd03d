"""How the packages for buckets ask: each request once, and not for ever.

Both have retries of their own, gcsfs six for each request and six more around an upload, s3fs five around botocore's
five, and neither bounds the time of a connection that nobody answers. Multiplied by those of ``retry.Retry``, a store
that is down would be reported after minutes, or half an hour. Here a request is made once; ``Retry`` alone asks again.
"""

# Imported where they are used: aiohttp takes 100 ms to load, and many batches are local.

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from animal_classification.common.urls import in_a_line

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
"""Without a byte; not of the whole request, which may be a large photo on a slow line."""
_PASSING = frozenset({408, 429})

Handler = Callable[["aiohttp.ClientRequest"], Awaitable["aiohttp.ClientResponse"]]


class UnansweredError(Exception):
    """A request got no answer that counts. No kind of error that gcsfs asks again for."""


def access_options(protocol: str) -> dict[str, Any]:
    """What to open the file system of a protocol with; nothing where the package for it is not installed."""
    if protocol not in ("gs", "gcs"):
        once = {"retries": {"total_max_attempts": 1}}
        return {"config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, **once}}
    try:
        import aiohttp
    except ImportError:
        return {}
    times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    return {"requests_timeout": times, "session_kwargs": {"middlewares": (ask_once,)}}


def leave_retries_to_us(filesystem: Any) -> None:
    """Tell s3fs that one attempt is enough; gcsfs needs no telling, see :func:`ask_once`."""
    if "s3" in filesystem.protocol:
        filesystem.retries = 1


async def ask_once(request: aiohttp.ClientRequest, ask: Handler) -> aiohttp.ClientResponse:
    """A middleware of aiohttp that turns every passing fault into an error that goes through gcsfs.

    Raises:
        UnansweredError: The connection failed, or the store says that it cannot answer now.
    """
    import aiohttp

    try:
        answer = await ask(request)
        await answer.read()  # it may break off in the middle; aiohttp keeps what was read
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnansweredError(in_a_line(error)) from error
    if answer.status in _PASSING or answer.status >= 500:
        raise UnansweredError(f"{answer.status} {answer.reason or ''}".strip())
    return answer
