"""Letters read back as what went in, whatever went in; nothing can be smuggled past the headers or the final dot."""

from __future__ import annotations

import contextlib
import email
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.smtp.mime import Letterhead
from clarion.delivery.model import Message

AT_MS = 1_800_000_000_000
ID = bytes(range(16))
LETTERHEAD = Letterhead("Shöp & Co <news@shop.example>", "help@shop.example")

CONTROLS = "".join(map(chr, range(32))).replace("\t", "") + "\x7f"
words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=CONTROLS), max_size=300)
ascii_words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=900)
anything = st.text(max_size=2000)
header_names = st.from_regex(r"X-[A-Za-z0-9-]{1,30}", fullmatch=True)
lines = st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=1200), max_size=6).map(
    "\n".join
)


def message(**fields: object) -> Message:
    plain: dict[str, object] = {"to": "ada@example.org", "subject": "Hi", "text": "Hello"}
    return Message(ID, b"t" * 16, "email", 1, **(plain | fields))  # pyright: ignore[reportArgumentType]


def compose(made: Message) -> bytes:
    return LETTERHEAD.compose(made, AT_MS).text


def read(letter: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(letter, policy=SMTPUTF8)
    assert not parsed.defects
    return parsed


def same_space(text: str) -> str:
    """Header text as compared: white space around folds and encoded words is not preserved by readers."""
    return "".join(text.split())


def body_lines(part: object) -> list[str]:
    assert isinstance(part, EmailMessage)
    content = part.get_content()
    assert isinstance(content, str)
    return lines_of(content)


def lines_of(text: str) -> list[str]:
    """The lines of a text, whatever breaks them; a break at the very end begins no further line."""
    return re.split(r"\r\n|\r|\n", re.sub(r"(?:\r\n|\r|\n)\Z", "", text))


def check_canonical(letter: bytes) -> None:
    assert letter.endswith(b"\r\n")
    assert b"\r" not in letter.replace(b"\r\n", b"")
    assert b"\n" not in letter.replace(b"\r\n", b"")
    assert max(map(len, letter.split(b"\r\n"))) <= 998


@given(words)
@example("=?utf-8?q?already_encoded?=")
@example("a" * 400)
@example("a " * 300)
@example("word" + " " * 200 + "word")
@example("Ваш заказ уже в пути — ожидайте 🎉" * 6)
def test_a_subject_reads_back(subject: str):
    letter = compose(message(subject=subject))
    check_canonical(letter)
    assert same_space(str(read(letter)["Subject"])) == same_space(subject)


@given(ascii_words)
def test_folding_keeps_every_space_of_an_ascii_header(value: str):
    letter = compose(message(headers={"X-Note": value}))
    found = re.search(rb"^X-Note:(.*(?:\r\n[ \t].*)*)\r\n", letter, re.MULTILINE)
    assert found
    unfolded = found[1].replace(b"\r\n", b"").decode().strip()
    if "=?" not in value:
        assert unfolded == value.strip()


@given(st.dictionaries(header_names, words, max_size=4))
def test_the_headers_are_exactly_those_intended(headers: dict[str, str]):
    if len({name.lower() for name in headers}) < len(headers):
        return
    parsed = read(compose(message(headers=headers)))
    ours = ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
    assert sorted(parsed.keys()) == sorted([*ours, "Content-Transfer-Encoding", *headers])
    for name, value in headers.items():
        assert same_space(str(parsed[name])) == same_space(value)


@given(st.text(max_size=20), st.sampled_from("\r\n\0"), st.text(max_size=20))
def test_a_line_break_in_any_header_is_refused(before: str, broken: str, after: str):
    value = f"{before}{broken}{after}"
    for made in (
        message(subject=value),
        message(headers={"X-Note": value}),
        message(headers={"Reply-To": value}),
        message(to=f"ada@example.org{value}"),
        message(headers={f"X-{value}": "x"}),
    ):
        with pytest.raises(Unsendable) as refusal:
            compose(made)
        assert refusal.value.code == "invalid_header"


@given(anything, anything)
def test_no_text_makes_a_letter_that_is_not_one_line_after_another(subject: str, text: str):
    with contextlib.suppress(Unsendable):
        check_canonical(compose(message(subject=subject, text=text, html=text)))


@given(lines)
@example("one\r\ntwo\rthree\nfour")
@example(".\n..\n.x\n")
@example("x" * 5000)
@example("trailing \nand\ttab\t\n")
@example("нет " * 300)
@example("mostly ascii, one é\n" * 40)
@example("\0")
def test_a_text_reads_back_line_by_line(text: str):
    if not text:
        return
    letter = compose(message(text=text))
    check_canonical(letter)
    assert body_lines(read(letter)) == lines_of(text)


@given(lines, lines)
@example("--=_clarion_000102030405060708090a0b0c0d0e0f", "--=_clarion_000102030405060708090a0b0c0d0e0f--\n")
def test_two_bodies_are_two_alternatives_that_read_back(text: str, html: str):
    if not (text and html):
        return
    letter = compose(message(text=text, html=html))
    check_canonical(letter)
    parsed = read(letter)
    parts = list(parsed.iter_parts())
    assert parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part, intended in zip(parts, (text, html), strict=True):
        assert body_lines(part) == lines_of(intended)


def test_it_says_what_the_standard_library_would_say():
    ours = read(compose(message(text="Hello Ada,\n\nit is on its way.\n", html="<p>Grüße</p>\n")))
    theirs = EmailMessage(policy=SMTP)
    theirs["From"] = Address("Shöp & Co", addr_spec="news@shop.example")
    theirs["To"], theirs["Subject"] = "<ada@example.org>", "Hi"
    theirs.set_content("Hello Ada,\n\nit is on its way.\n")
    theirs.add_alternative("<p>Grüße</p>\n", subtype="html")
    parsed = read(theirs.as_bytes())
    assert [str(ours[name]) for name in ("From", "To", "Subject")] == [
        str(parsed[name]) for name in ("From", "To", "Subject")
    ]
    assert [body_lines(part) for part in ours.iter_parts()] == [
        body_lines(part) for part in parsed.iter_parts()
    ]
    assert ours["Message-ID"] == f"<{ID.hex()}@shop.example>"
    assert str(ours["Date"]) == "Fri, 15 Jan 2027 08:00:00 +0000"
