from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.entrypoints.api.body import JsonBody, read_body, tame
from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.patience import ARRIVAL_S, Patience
from clarion.kernel.errors import Invalid


class Told(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    data: dict[str, Any] = {}


BODY = JsonBody(Told)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def never() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("chunks", [[], [b"{"], [b"{", b"1"]], ids=["nothing", "a-part", "parts"])
async def test_a_body_that_stays_away_is_given_up(chunks: list[bytes]):
    hands = Hands()
    patience = Patience(hands)
    left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]

    async def receive() -> Any:
        return left.pop(0) if left else await never()

    reading = asyncio.create_task(read_body(receive, {}, 100, patience))
    await asyncio.sleep(0)
    hands.seconds = ARRIVAL_S - 0.1
    patience.sweep()
    await asyncio.sleep(0)
    assert not reading.done()
    hands.seconds = ARRIVAL_S
    patience.sweep()
    patience.sweep()
    with pytest.raises(HttpError) as caught:
        await reading
    assert caught.value.status == 408
    assert (b"connection", b"close") in caught.value.headers


async def test_a_reader_that_others_cancel_is_cancelled():
    reading = asyncio.create_task(read_body(never, {}, 100, Patience(Hands())))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_who_has_read_is_left_in_peace():
    hands = Hands()
    patience = Patience(hands)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    assert await read_body(receive, {}, 100, patience) == b"{}"
    hands.seconds = 2 * ARRIVAL_S
    patience.sweep()
    await asyncio.sleep(0)


@pytest.mark.parametrize("length", [b"x", b"-1", b"1e3"])
async def test_a_length_that_is_none_is_not_believed(length: bytes):
    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    assert await read_body(receive, {b"content-length": length}, 100, Patience(Hands())) == b"{}"


def decoded(raw: bytes) -> Told | Invalid:
    """What the body is, or why it is refused."""
    try:
        return BODY.decode(raw)
    except Invalid as refused:
        return refused


@given(JSON_VALUES)
def test_what_is_accepted_is_what_was_sent(value: Any):
    told = decoded(json.dumps({"data": {"v": value}}, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if isinstance(told, Invalid):
        assert told.path.startswith("data")
        return
    text = json.dumps(told.data["v"], ensure_ascii=False)
    assert "\0" not in text
    assert json.loads(text) == json.loads(json.dumps(value))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(raw: bytes):
    told = decoded(raw)
    assert isinstance(told, Told) or told.detail


@given(st.text(alphabet=st.characters(codec="utf-8")), st.sampled_from([False, True]))
def test_text_is_left_as_it_is(text: str, ascii_only: bool):  # noqa: FBT001  an example's value
    raw = json.dumps({"text": text}, ensure_ascii=ascii_only).encode()
    assert tame(raw) == raw


@given(st.text(alphabet='\ud800\udbff\udc00\udfff\\ua"é\U0001f600', max_size=12))
def test_a_lone_surrogate_is_always_found(text: str):
    raw = json.dumps({"text": text}).encode()
    whole = json.loads(raw)["text"]
    try:
        whole.encode()
    except UnicodeEncodeError:
        with pytest.raises(Invalid) as caught:
            BODY.decode(raw)
        assert caught.value.path == "text"
    else:
        assert BODY.decode(raw).text == whole
