"""Templates as files: what is written is read again, byte for byte, and what is wrong is told by file and line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.entrypoints.cli.template_files import (
    read_partial,
    read_template,
    says_the_same,
    write_partial,
    write_template,
)
from clarion.entrypoints.cli.template_tree import OURS
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

text = st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda s: not s.startswith("\ufeff"))
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
tags = st.sampled_from(["de", "pt-BR", "zh-Hant"])
channels = st.builds(
    ChannelParts,
    st.none() | st.builds(EmailParts, text, text, text, text),
    st.none() | st.builds(PushParts, text, text, st.dictionaries(names, text, max_size=2), text),
    st.none() | st.builds(SmsParts, text),
)
schemas = st.none() | st.just({"type": "object", "properties": {"a": {"minimum": 1.5}}})
templates = st.builds(
    TemplateContent,
    names,
    channels,
    st.dictionaries(tags, channels.filter(lambda c: c != ChannelParts()), max_size=2),
    st.sampled_from(["", "en"]),
    st.dictionaries(tags, tags, max_size=2),
    schemas,
)


@given(templates)
def test_a_template_comes_back_from_its_files_as_it_was(content: TemplateContent):
    files = write_template(content)
    again = read_template(files, "t")
    assert again == content
    assert write_template(again) == files


@given(
    st.builds(
        PartialContent,
        text,
        text,
        text,
        st.dictionaries(
            tags, st.builds(PartialParts, text, text, text).filter(lambda p: p != PartialParts())
        ),
    )
)
def test_a_partial_comes_back_from_its_files_as_it_was(content: PartialContent):
    assert read_partial(write_partial(content), "p") == content


tables: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(names, text, max_size=3), lambda inner: st.dictionaries(names, text | inner, max_size=3)
)


@given(tables)
def test_the_standard_library_reads_the_toml_that_is_written(document: dict[str, Any]):
    assert tomllib.loads(toml_text(document)) == document


def test_bodies_keep_every_byte():
    files = {
        "template.toml": b'# mine\ncategory = "service"\nemail.subject = "Hi"\n',
        "email.html": "<p>Grüße</p>\r\n\r\n".encode(),
        "email.txt": b"no newline at the end",
        "schema.json": b'{"type": "object"}',
    }
    again = write_template(read_template(files, "t"))
    assert {name: again[name] for name in ("email.html", "email.txt")} == {
        name: files[name] for name in ("email.html", "email.txt")
    }
    for name, raw in files.items():
        assert says_the_same(name, raw, again[name]), name


WELL = b'category = "service"\n'
WRONG: list[tuple[dict[str, bytes], str]] = [
    ({}, "t/template.toml: it is missing"),
    ({"template.toml": b'category = "service"\n\nemail = {\n'}, "t/template.toml:3: "),
    ({"template.toml": b'locale = "en"\n[email]\nsubject = 7\ncategory = 1'}, "t/template.toml:"),
    ({"template.toml": WELL + b'[email]\nsubject = "Hi"\nsubjekt = "x"\n'}, "t/template.toml:4: "),
    ({"template.toml": WELL + b"[push]\ntitle = 7\n"}, "t/template.toml:3: Expected `str`"),
    ({"template.toml": WELL, "emial.html": b"x"}, "t/emial.html: it is none of email.html"),
    ({"template.toml": WELL, "email.html": b"one\ntwo \xff"}, "t/email.html:2: it is not UTF-8"),
    ({"template.toml": WELL, "email.txt": b"\xef\xbb\xbfx"}, "t/email.txt:1: it begins with a byte order"),
    ({"template.toml": WELL, "schema.json": b'{"a":\n 1,\n}'}, "t/schema.json:3: it is no JSON"),
    ({"template.toml": WELL, "schema.json": b"[]"}, "t/schema.json:1: a schema is an object"),
    ({"template.toml": WELL, "locales/de/email.html": b"\xff"}, "t/locales/de/email.html:1: "),
    ({"template.toml": WELL, "locales/de/template.toml": WELL}, "t/locales/de/template.toml: it is none"),
    ({"template.toml": WELL, "old/email.html": b"x"}, "t/old/email.html: it is in no place"),
]


@pytest.mark.parametrize(("files", "said"), WRONG)
def test_what_is_wrong_is_told_by_file_and_line(files: dict[str, bytes], said: str):
    with pytest.raises(Invalid) as refused:
        read_template(files, "t")
    assert refused.value.detail.startswith(said)


def test_a_partial_with_a_misspelt_file_is_refused():
    with pytest.raises(Invalid, match=r"p/partial\.htm: it is none of partial\.html"):
        read_partial({"partial.htm": b"x"}, "p")


def test_the_folder_of_the_how_to_page_is_one():
    page = (Path(__file__).parents[3] / "docs/how-to/templates.md").read_text(encoding="utf-8")
    head = re.search(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert head
    shown = read_template({"template.toml": head[1].encode(), "sms.txt": b"x"}, "t")
    assert (shown.category, shown.locale, shown.fallbacks) == ("transactional", "en", {"gsw": "de"})
    assert shown.channels.push is not None
    assert shown.channels.push.data == {"order": "{{ order }}"}
    drawn = re.findall(r"^ +(?:[\w-]+/)*([\w-]+\.(?:toml|html|txt|json))", page, flags=re.MULTILINE)
    assert set(drawn) <= OURS
