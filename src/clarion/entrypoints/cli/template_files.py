"""Templates and partials as files: which file holds what, both ways. Pure: files are a dict from path to bytes.

    templates/NAME/template.toml        category, subjects, titles, push data
    templates/NAME/email.html …         one file a body: email.html or email.mjml, email.txt, push.txt, sms.txt
    templates/NAME/schema.json          what `data` must be
    templates/NAME/locales/de/…         the same files in another language, with locale.toml
    partials/NAME/partial.html …        partial.html, partial.mjml, partial.txt, and locales/de/…

Bodies cross byte for byte. TOML and JSON are compared by what they say, so that comments and layout stay the author's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from clarion.contracts.commands import Name
from clarion.entrypoints.cli.toml_text import toml_text
from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    EmailParts,
    PartialContent,
    PartialParts,
    PushParts,
    SmsParts,
    TemplateContent,
)

Files: TypeAlias = dict[str, bytes]
T = TypeVar("T")

HEAD: Final = "template.toml"
LOCALE_HEAD: Final = "locale.toml"
SCHEMA: Final = "schema.json"
BODIES: Final = {
    "email.html": ("email", "html"),
    "email.mjml": ("email", "mjml"),
    "email.txt": ("email", "text"),
    "push.txt": ("push", "body"),
    "sms.txt": ("sms", "body"),
}
PARTIAL_BODIES: Final = {"partial.html": "html", "partial.mjml": "mjml", "partial.txt": "text"}

_AT: Final = re.compile(r" \(at line (\d+), column \d+\)")
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`")
_FIELD: Final = re.compile(r"field `([^`]*)`")


class _Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: str = ""


class _Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str = ""
    collapse_key: str = ""
    data: dict[Name, str] = {}


class _Sms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only that there is one."""


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`locale.toml`: what is said in a few words. A table without entries says that there is the channel."""

    email: _Mail | None = None
    push: _Push | None = None
    sms: _Sms | None = None


class _Head(_Words, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`template.toml`."""

    category: Name
    locale: str = ""
    fallbacks: dict[str, str] = {}


def write_template(content: TemplateContent) -> Files:
    """The files of a template."""
    head: dict[str, Any] = {"category": content.category}
    if content.locale:
        head["locale"] = content.locale
    if content.fallbacks:
        head["fallbacks"] = content.fallbacks
    files = {HEAD: toml_text(head | _words(content.channels)).encode(), **_bodies(content.channels)}
    for tag, channels in content.locales.items():
        words = _words(channels)
        said = _bodies(channels) | ({LOCALE_HEAD: toml_text(words).encode()} if words else {})
        files |= {f"locales/{tag}/{name}": source for name, source in said.items()}
    if content.data_schema is not None:
        raw = msgspec.json.encode(content.data_schema, order="sorted")
        files[SCHEMA] = msgspec.json.format(raw, indent=2) + b"\n"
    return files


def read_template(files: Mapping[str, bytes], where: str) -> TemplateContent:
    """The template of its files, which stand in `where`. Raises Invalid with file, line, and what is wrong."""
    own, locales = _by_locale(files, where)
    if HEAD not in own:
        raise Invalid(f"{where}/{HEAD}: it is missing; it names the category")
    head = _read_toml(own[HEAD], f"{where}/{HEAD}", _Head)
    _refuse_strangers(own, {HEAD, SCHEMA, *BODIES}, where)
    said: dict[str, ChannelParts] = {}
    for tag, inner in locales.items():
        place = f"{where}/locales/{tag}"
        _refuse_strangers(inner, {LOCALE_HEAD, *BODIES}, place)
        words = _read_toml(inner.get(LOCALE_HEAD, b""), f"{place}/{LOCALE_HEAD}", _Words)
        said[tag] = _channels(words, inner, place)
    schema = _read_schema(own[SCHEMA], f"{where}/{SCHEMA}") if SCHEMA in own else None
    return TemplateContent(
        head.category, _channels(head, own, where), said, head.locale, head.fallbacks, schema
    )


def write_partial(content: PartialContent) -> Files:
    """The files of a partial."""
    said: list[tuple[str, PartialContent | PartialParts]] = [("", content)]
    said += [(f"locales/{tag}/", parts) for tag, parts in content.locales.items()]
    return {
        prefix + name: source.encode()
        for prefix, parts in said
        for name, field in PARTIAL_BODIES.items()
        if (source := getattr(parts, field))
    }


def read_partial(files: Mapping[str, bytes], where: str) -> PartialContent:
    """The partial of its files, which stand in `where`. Raises Invalid with file and line."""
    own, locales = _by_locale(files, where)
    said: dict[str, PartialParts] = {}
    for tag, inner in locales.items():
        said[tag] = PartialParts(**_partial_bodies(inner, f"{where}/locales/{tag}"))
    return PartialContent(**_partial_bodies(own, where), locales=said)


def says_the_same(name: str, one: bytes, other: bytes) -> bool:
    """Whether two states of a file mean the same: bodies byte for byte, TOML and JSON by their values."""
    if one == other:
        return True
    try:
        if name.endswith(".toml"):
            return tomllib.loads(one.decode()) == tomllib.loads(other.decode())
        if name.endswith(".json"):
            return bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except ValueError:
        return False
    return False


def _words(channels: ChannelParts) -> dict[str, Any]:
    """What `template.toml` or `locale.toml` says of channels: a table each, but for what its files say already."""
    words: dict[str, Any] = {}
    if (email := channels.email) is not None:
        words["email"] = {"subject": email.subject} if email.subject else {}
    if (push := channels.push) is not None:
        said: dict[str, Any] = {"title": push.title, "collapse_key": push.collapse_key, "data": push.data}
        words["push"] = {name: value for name, value in said.items() if value}
    if channels.sms is not None and not channels.sms.body:
        words["sms"] = {}
    return words


def _bodies(channels: ChannelParts) -> Files:
    files: Files = {}
    for name, (channel, field) in BODIES.items():
        parts = getattr(channels, channel)
        source = getattr(parts, field) if parts is not None else ""
        if source:
            files[name] = source.encode()
    return files


def _channels(words: _Words, files: Mapping[str, bytes], where: str) -> ChannelParts:
    texts: dict[str, dict[str, str]] = {}
    for name, (channel, field) in BODIES.items():
        if name in files:
            texts.setdefault(channel, {})[field] = _text(files[name], f"{where}/{name}")
    email = push = sms = None
    if words.email is not None or "email" in texts:
        email = EmailParts(subject=words.email.subject if words.email else "", **texts.get("email", {}))
    if words.push is not None or "push" in texts:
        said = words.push or _Push()
        push = PushParts(said.title, texts.get("push", {}).get("body", ""), said.data, said.collapse_key)
    if words.sms is not None or "sms" in texts:
        sms = SmsParts(**texts.get("sms", {}))
    return ChannelParts(email, push, sms)


def _partial_bodies(files: Mapping[str, bytes], where: str) -> dict[str, str]:
    _refuse_strangers(files, set(PARTIAL_BODIES), where)
    return {PARTIAL_BODIES[name]: _text(raw, f"{where}/{name}") for name, raw in files.items()}


def _by_locale(files: Mapping[str, bytes], where: str) -> tuple[Files, dict[str, Files]]:
    """The files of the own language, and those of others by tag."""
    own: Files = {}
    locales: dict[str, Files] = {}
    for path, raw in files.items():
        match path.split("/"):
            case [name]:
                own[name] = raw
            case ["locales", tag, name]:
                locales.setdefault(tag, {})[name] = raw
            case _:
                raise Invalid(f"{where}/{path}: it is in no place where files are looked for")
    return own, locales


def _refuse_strangers(files: Mapping[str, bytes], known: set[str], where: str) -> None:
    """A file that nobody reads is a misspelt name, most likely."""
    for name in files:
        if name not in known:
            raise Invalid(f"{where}/{name}: it is none of {', '.join(sorted(known))}")


def _text(raw: bytes, where: str) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{where}:{line}: it is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise Invalid(f"{where}:1: it begins with a byte order mark; save it without one")
    return text


def _read_toml(raw: bytes, where: str, kind: type[T]) -> T:
    text = _text(raw, where)
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line = at[1] if at else text.count("\n") + 1
        raise Invalid(
            f"{where}:{line}: {_AT.sub('', str(error)).removesuffix(' (at end of document)')}"
        ) from None
    except msgspec.ValidationError as error:
        sentence = str(error)
        place, field = _PATH.search(sentence), _FIELD.search(sentence)
        key = field[1] if field else place[1].rpartition(".")[2] if place else ""
        raise Invalid(f"{where}:{line_of_key(text, key)}: {_PATH.sub('', sentence)}") from None


def line_of_key(text: str, key: str) -> int:
    """The line of a TOML document where a key or table of this name is set, counted from 1; 1 where it is not found."""
    pattern = re.compile(rf"""^\s*(?:\[[^\]]*)?["']?{re.escape(key)}["']?\s*[\]=]""")
    for number, line in enumerate(text.splitlines(), 1):
        if key and pattern.match(line):
            return number
    return 1


def _read_schema(raw: bytes, where: str) -> dict[str, Any]:
    text = _text(raw, where)
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError:
        raise Invalid(f"{where}:1: a schema is an object") from None
    except (msgspec.DecodeError, RecursionError) as error:
        byte = re.search(r"\(byte (\d+)\)", str(error))
        line = text.encode().count(b"\n", 0, int(byte[1])) + 1 if byte else text.count("\n") + 1
        raise Invalid(f"{where}:{line}: it is no JSON: {error}") from None
