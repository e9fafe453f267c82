"""Reading a request's body: how large, in which format, how deep, and whether every string of it can be stored.

The checks that walk over values run only where the raw bytes make them necessary: a body without an escaped U+0000,
with fewer brackets than levels allowed and fewer commas than items allowed cannot break these rules. Nearly none does.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import msgspec

from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.patience import Patience
from clarion.kernel.errors import Invalid
from clarion.kernel.text import MAX_DEPTH, check_storable

if TYPE_CHECKING:
    from litestar.types import Receive

T = TypeVar("T")

MAX_BYTES: Final = 1 << 20
MAX_BATCH_BYTES: Final = 8 << 20
MAX_ITEMS: Final = 1000
"""Most items of an array, members of an object, and items of a batch."""

NDJSON: Final = b"application/x-ndjson"
_JSON: Final = b"application/json"

_FIELD: Final = re.compile(r"(?:unknown|required) field `([^`]*)`")
_NO_UTF8: Final = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as `surrogateescape` has it."""

_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Any escape of JSON; the group is half of a surrogate pair."""

_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_NUMBERS: Final = (b"0" * 19, b"0e0", b"0e+0")
"""What a number that cannot be written looks like, once all digits are noughts: 19 of them, or an exponent."""

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$\.?([^`]*)`\Z")


class JsonBody(Generic[T]):
    """What a route takes: the type that bodies are decoded into, and what they may have at most.

    `envelope`: the body is a list of items that are decoded, and refused, each by itself. `shown`: the type that the
    description has instead, with the items in full.
    """

    def __init__(
        self,
        type_: type[T],
        *,
        max_bytes: int = MAX_BYTES,
        envelope: bool = False,
        shown: type[msgspec.Struct] | None = None,
    ) -> None:
        self.type = type_
        self.shown = shown or type_
        self.max_bytes = max_bytes
        self.envelope = envelope
        self._decoder = msgspec.json.Decoder(type_)

    def decode(self, raw: bytes) -> T:
        """The value of a body. Raises Invalid with the path of what is wrong."""
        try:
            value = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            value = self._decode_whole(raw, error)
        except (
            ValueError,
            RecursionError,
        ) as error:  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors
            tamed = tame(raw)
            if self.envelope and tamed != raw:
                return self.decode(tamed)
            raise _malformed(tamed, error, is_tamed=tamed != raw) from None
        if not self.envelope and _may_break_rules(raw):
            check_tree(raw)
        return value

    def _decode_whole(self, raw: bytes, error: msgspec.ValidationError) -> T:
        """The value of a body in which integers are written as `3.0`, which JSON calls the same. Raises Invalid."""
        if not self.envelope and "got `float`" in str(error):
            try:
                return msgspec.convert(_whole(msgspec.json.decode(raw)), self.type)
            except msgspec.ValidationError as other:
                raise to_invalid(other) from None
        raise to_invalid(error) from None


def _whole(value: object) -> object:
    """Decoded JSON with each number that is whole as an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in cast("dict[str, object]", value).items()}
    return value


def _may_break_rules(raw: bytes) -> bool:
    return (
        b"\\u0000" in raw
        or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH
        or raw.count(b",") >= MAX_ITEMS
        or _may_have_long_numbers(raw)
    )


def _may_have_long_numbers(raw: bytes) -> bool:
    shapes = raw.translate(_DIGITS)
    return any(shape in shapes for shape in _LONG_NUMBERS)


def check_tree(raw: bytes) -> None:
    """Pass over JSON that can be stored and is not too deep or too wide. Raises Invalid with the path."""
    tree: object = msgspec.json.decode(raw)
    check_storable(tree, "")
    _check_width(tree, "")


async def read_body(
    receive: Receive, headers: dict[bytes, bytes], max_bytes: int, patience: Patience
) -> bytes:
    """The whole body. Raises HttpError: 413 over `max_bytes`, 415 where it is compressed, 408 where it stays away."""
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise HttpError(
            415, "compressed bodies are not read here; send it as it is", ((b"accept-encoding", b"identity"),)
        )
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    task = patience.begin()
    try:
        return await _collect(receive, max_bytes)
    except asyncio.CancelledError:
        try:
            patience.explain(task)
        except TimeoutError:
            detail = f"the body did not arrive within {patience.within_s:g} seconds"
            raise HttpError(408, detail, ((b"connection", b"close"),)) from None
        raise
    finally:
        patience.end(task)


async def _collect(receive: Receive, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HttpError(400, "the connection ended inside the body")
        size += len(message["body"])
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(message["body"])
        if not message["more_body"]:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_media(headers: dict[bytes, bytes], *, or_lines: bool) -> bytes:
    """The media type of the body, `application/json` where none is named. Raises HttpError (415) on another one.

    `or_lines`: `application/x-ndjson` will do as well.
    """
    given = headers.get(b"content-type", _JSON)
    if given == _JSON:
        return given
    media, _, parameters = given.lower().partition(b";")
    media = media.strip()
    charset = parameters.strip()
    if media not in ((_JSON, NDJSON) if or_lines else (_JSON,)) or charset not in (
        b"",
        b"charset=utf-8",
        b'charset="utf-8"',
    ):
        takes = f"{_JSON.decode()} or {NDJSON.decode()}" if or_lines else _JSON.decode()
        raise HttpError(
            415, f"the body must be {takes}, in UTF-8", ((b"accept", takes.replace(" or ", ", ").encode()),)
        )
    return media


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(413, f"the body has more than {max_bytes >> 20} MB")


def to_invalid(error: msgspec.ValidationError) -> Invalid:
    """What msgspec refuses as ours: the path apart from the sentence."""
    text = str(error)
    place, field = _PATH.search(text), _FIELD.search(text)
    steps = [place[1] if place else "", field[1] if field else ""]
    detail = _PATH.sub("", text)
    return Invalid(detail[:1].lower() + detail[1:], ".".join(filter(None, steps)))


def tame(raw: bytes) -> bytes:
    """JSON in which whatever is no Unicode text became U+0000: what no decoder reads becomes what can be pointed at."""
    text = _NO_UTF8.sub(r"\\u0000", raw.decode("utf-8", "surrogateescape"))
    return _ESCAPE.sub(lambda found: r"\u0000" if found[1] else found[0], text).encode()


def _malformed(raw: bytes, error: Exception, *, is_tamed: bool) -> Invalid:
    """Why `raw` is no JSON, with the path where the reason is a string that no store can keep."""
    if isinstance(error, RecursionError):
        return Invalid(f"is nested deeper than {MAX_DEPTH} levels")
    if is_tamed:
        try:
            check_tree(raw)
        except Invalid as found:
            return found
        except (ValueError, RecursionError):
            pass
    if isinstance(error, msgspec.DecodeError):
        return Invalid(f"is no JSON: {error}")
    return Invalid("is no JSON: a number is too long, or the text is not UTF-8")


def _check_width(value: object, path: str) -> None:
    if not isinstance(value, dict | list):
        return
    items = cast("dict[str, Any] | list[Any]", value)
    if len(items) > MAX_ITEMS:
        raise Invalid(f"has {len(items)} entries, where {MAX_ITEMS} are the most", path)
    if isinstance(items, dict):
        for name, item in items.items():
            _check_width(item, f"{path}.{name}" if path else name)
    else:
        for index, item in enumerate(items):
            _check_width(item, f"{path}[{index}]")
