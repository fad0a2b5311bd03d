"""A connection that ends while its client still sends."""

from __future__ import annotations

import asyncio
from typing import cast
from unittest.mock import Mock

import pytest

from animal_classification.serving.process.lingering_close import BYTES, LingeringTransport


def made(*, may_still_send: bool = True, unsent: int = 0) -> tuple[LingeringTransport, Mock, Mock]:
    inner = Mock(spec=asyncio.Transport)
    inner.is_closing.return_value = False
    inner.get_write_buffer_size.return_value = unsent
    loop = Mock(spec=asyncio.AbstractEventLoop)
    return LingeringTransport(cast("asyncio.Transport", inner), loop, lambda: may_still_send), inner, loop


def test_the_client_reads_the_end_and_may_go_on_for_a_while() -> None:
    transport, inner, loop = made()
    transport.write(b"answer")
    transport.close()
    inner.write_eof.assert_called_once_with()
    inner.close.assert_not_called()
    loop.call_later.assert_called_once()
    assert transport.is_closing()
    transport.write(b"more")
    inner.write.assert_called_once_with(b"answer")
    transport.drop(BYTES)
    inner.abort.assert_not_called()
    transport.drop(1)
    inner.abort.assert_called_once_with()


def test_the_second_time_it_is_closed() -> None:
    transport, inner, _ = made()
    transport.close()
    transport.close()
    inner.close.assert_called_once_with()


@pytest.mark.parametrize("unsent", [0, 100])
def test_whose_request_is_complete_is_closed_and_reads_or_is_cut_off(unsent: int) -> None:
    transport, inner, loop = made(may_still_send=False, unsent=unsent)
    transport.close()
    inner.close.assert_called_once_with()
    assert loop.call_later.called == bool(unsent)


def test_a_client_that_is_gone_already_is_no_failure() -> None:
    transport, inner, _ = made()
    inner.write_eof.side_effect = OSError("Transport endpoint is not connected")
    transport.close()
    inner.abort.assert_called_once_with()


HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"lion"


def test_a_head_and_its_body_leave_together() -> None:
    transport, inner, loop = made()
    transport.write(HEAD)
    inner.write.assert_not_called()
    transport.write(BODY)
    inner.write.assert_called_once_with(HEAD + BODY)
    (flush,) = loop.call_soon.call_args.args
    flush()
    inner.write.assert_called_once()


@pytest.mark.parametrize("how", ["next turn", "close"])
def test_a_head_without_a_body_leaves_alone(how: str) -> None:
    transport, inner, loop = made(may_still_send=False)
    transport.write(HEAD)
    if how == "close":
        transport.close()
        inner.close.assert_called_once_with()
    (flush,) = loop.call_soon.call_args.args
    flush()
    inner.write.assert_called_once_with(HEAD)


def test_after_the_connection_is_lost_nothing_is_done() -> None:
    transport, inner, loop = made()
    transport.write(HEAD)
    transport.release()
    (flush,) = loop.call_soon.call_args_list[0].args
    flush()
    transport.write(BODY)
    transport.close()
    transport.abort()
    assert transport.is_closing()
    for method in (inner.write, inner.close, inner.abort):
        method.assert_not_called()
