"""The tree from and to the bytes in which the engine keeps an expression (Protocol Buffers, `cel.expr.ParsedExpr`).

The engine tells nothing else about what it parsed, and takes a part of an expression only in this form. The fields are
those of google/cel-spec `syntax.proto`, whose numbers are fixed for ever.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from itertools import count
from typing import Final, cast

from clarion.audience.cel.tree import Call, Constant, Field, Fold, ListOf, Literal, Name, Node
from clarion.kernel.errors import Invalid

MAX_DEPTH: Final = 48
"""Levels of a tree. The parser itself stops at 32 nested expressions, but not at `a.b.c.…`."""

_TYPE_URL: Final = b"type.googleapis.com/cel.expr.ParsedExpr"
_VARINT, _FIXED64, _BYTES = 0, 1, 2
_CONSTANT, _NAME, _FIELD, _CALL, _LIST, _FOLD = 3, 4, 5, 6, 7, 9
_SIGN: Final = 1 << 63
_WRAP: Final = 1 << 64
_double = struct.Struct("<d")

_Message = dict[int, list["int | bytes"]]


def read_tree(parsed: bytes) -> Node:
    """The tree of a serialised expression. Raises Invalid where it is too deep or has a form that is not supported."""
    expression = _message(_bytes(_message(parsed), 2))
    source = _message(_bytes(expression, 3))
    places: dict[int, int] = {}
    for entry in source[4]:
        pair = _message(cast("bytes", entry))
        places[_number(pair, 1)] = _number(pair, 2)
    return _read(_bytes(expression, 2), places, MAX_DEPTH)


def write_tree(node: Node) -> bytes:
    """The bytes of a tree, for the engine to evaluate."""
    parsed = _field(2, _write(node, count(1)))
    return _field(1, _TYPE_URL) + _field(2, parsed)


def _read(raw: bytes, places: dict[int, int], depth: int) -> Node:
    if not depth:
        raise Invalid(f"is nested deeper than {MAX_DEPTH} levels", "expression")
    fields = _message(raw)
    at = places.get(_number(fields, 2), 0)

    def below(message: _Message, number: int) -> Node:
        return _read(_bytes(message, number), places, depth - 1)

    def all_below(message: _Message, number: int) -> tuple[Node, ...]:
        return tuple(_read(cast("bytes", item), places, depth - 1) for item in message[number])

    kind = next((number for number in fields if number != 2), 0)  # noqa: PLR2004  2 is the node's own number
    body = _message(_bytes(fields, kind))
    match kind:
        case 3:
            return _read_constant(body, at)
        case 4:
            return Name(_text(body, 1), at)
        case 5:
            return Field(below(body, 1), _text(body, 2), bool(_number(body, 3)), at)
        case 6:
            target = below(body, 1) if body[1] else None
            return Call(_text(body, 2), all_below(body, 3), target, at)
        case 7:
            return ListOf(all_below(body, 1), at)
        case 9:
            parts = [below(body, number) for number in (2, 4, 5, 6, 7)]
            over, start, go_on, step, result = parts
            return Fold(_text(body, 1), over, _text(body, 3), start, go_on, step, result, at)
        case _:
            raise Invalid("has a map or a message in braces, which is not allowed", "expression")


def _read_constant(body: _Message, at: int) -> Literal:
    nothing: list[int | bytes] = []
    number, values = next(iter(body.items()), (1, nothing))
    value: Constant = None
    match number, values:
        case 2, [int(given)]:
            value = bool(given)
        case 3, [int(given)]:
            value = given - _WRAP if given >= _SIGN else given
        case 4, [int(given)]:
            value = given
        case 5, [bytes(given)]:
            value = _double.unpack(given)[0]
        case 6, [bytes(given)]:
            value = given.decode()
        case 7, [bytes(given)]:
            value = given
        case _:
            pass  # null, which parsing refuses with its place
    return Literal(value, at)


def _write(node: Node, numbers: count[int]) -> bytes:
    ident = _varint_field(2, next(numbers))
    match node:
        case Literal(value=value):
            return ident + _field(_CONSTANT, _write_constant(value))
        case Name(name=name):
            return ident + _field(_NAME, _field(1, name.encode()))
        case Field(of=of, name=name, test=test):
            body = _field(1, _write(of, numbers)) + _field(2, name.encode())
            return ident + _field(_FIELD, body + (_varint_field(3, 1) if test else b""))
        case Call(function=function, args=args, target=target):
            body = b"" if target is None else _field(1, _write(target, numbers))
            body += _field(2, function.encode())
            return ident + _field(_CALL, body + b"".join(_field(3, _write(arg, numbers)) for arg in args))
        case ListOf(items=items):
            return ident + _field(_LIST, b"".join(_field(1, _write(item, numbers)) for item in items))
        case Fold():
            parts = [
                _field(1, node.variable.encode()),
                _field(2, _write(node.over, numbers)),
                _field(3, node.result_name.encode()),
                *(
                    _field(number, _write(part, numbers))
                    for number, part in ((4, node.start), (5, node.go_on), (6, node.step), (7, node.result))
                ),
            ]
            return ident + _field(_FOLD, b"".join(parts))


def _write_constant(value: object) -> bytes:
    match value:
        case bool():
            return _varint_field(2, int(value))
        case int():
            return _varint_field(3, value % _WRAP)
        case float():
            return bytes([5 << 3 | _FIXED64]) + _double.pack(value)
        case str():
            return _field(6, value.encode())
        case bytes():
            return _field(7, value)
        case _:
            return _varint_field(1, 0)


def _message(raw: bytes) -> _Message:
    """The fields of a message by number: numbers as they are, everything longer as bytes."""
    fields: _Message = defaultdict(list)
    position = 0
    while position < len(raw):
        tag, position = _varint(raw, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(raw, position)
            fields[number].append(value)
            continue
        if kind == _FIXED64:
            size = 8
        else:
            size, position = _varint(raw, position)
        fields[number].append(raw[position : position + size])
        position += size
    return fields


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the last byte of a number has its top bit clear
            return value, position
        shift += 7


def _number(fields: _Message, number: int) -> int:
    return cast("int", fields[number][-1]) if fields[number] else 0


def _bytes(fields: _Message, number: int) -> bytes:
    return cast("bytes", fields[number][-1]) if fields[number] else b""


def _text(fields: _Message, number: int) -> str:
    return _bytes(fields, number).decode()


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3 | _VARINT]) + _encode_varint(value)


def _field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _encode_varint(len(body)) + body
