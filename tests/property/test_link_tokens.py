"""A token says what was signed, to whom it was signed, and nothing else can be made to say anything."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.links.maker import LinkMaker, clean_target
from clarion.delivery.links.tokens import (
    CONFIRM_DAYS,
    DAY_MS,
    MAX_DETAIL_BYTES,
    VALID_DAYS,
    LinkKeys,
    LinkKind,
    Recipient,
    TokenSigner,
)

NOW_MS = 1_800_000_000_000
KEYS = {1: b"a" * 32, 2: b"b" * 32}
SIGNER = TokenSigner(LinkKeys(2, KEYS))
ALPHABET = string.ascii_letters + string.digits + "-_"

kinds = st.sampled_from(LinkKind)
ids = st.binary(min_size=16, max_size=16)
recipients = st.builds(Recipient, ids, ids, st.integers(0, 2**63 - 1))
details = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def token(kind: LinkKind, recipient: Recipient, detail: str = "", at_ms: int = NOW_MS) -> str:
    return SIGNER.sign(kind, SIGNER.head(recipient, at_ms), detail.encode())


@given(kinds, recipients, details)
def test_a_token_reads_back_as_what_was_signed(kind: LinkKind, recipient: Recipient, detail: str):
    claim = SIGNER.read(kind, token(kind, recipient, detail), NOW_MS)
    assert claim is not None
    assert (claim.recipient, claim.detail) == (recipient, detail)


@given(kinds, recipients, details, st.data())
def test_no_other_character_anywhere_makes_another_token(
    kind: LinkKind, recipient: Recipient, detail: str, data: st.DataObject
):
    signed = token(kind, recipient, detail)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.sampled_from([letter for letter in ALPHABET if letter != signed[at]]))
    assert SIGNER.read(kind, signed[:at] + other + signed[at + 1 :], NOW_MS) is None


@given(kinds, recipients, details, st.data())
def test_a_token_that_lost_or_gained_something_is_none(
    kind: LinkKind, recipient: Recipient, detail: str, data: st.DataObject
):
    signed = token(kind, recipient, detail)
    cut = data.draw(st.integers(0, len(signed) - 1))
    more = data.draw(st.text(ALPHABET + "=%. ", min_size=1, max_size=8))
    assert SIGNER.read(kind, signed[:cut], NOW_MS) is None
    assert SIGNER.read(kind, signed + more, NOW_MS) is None


@given(recipients, ids)
def test_the_ids_of_another_tenant_do_not_fit_under_a_signature(recipient: Recipient, tenant_id: bytes):
    ours, theirs = (
        token(LinkKind.UNSUBSCRIBE, recipient),
        token(LinkKind.UNSUBSCRIBE, Recipient(tenant_id, recipient.delivery_id, recipient.user_id)),
    )
    if tenant_id != recipient.tenant_id:
        # 1 kind, 1 key, 2 day, 16 tenant, 16 delivery, 8 user: 44 bytes; the last 16 sign them.
        assert SIGNER.read(LinkKind.UNSUBSCRIBE, theirs[:56] + ours[56:], NOW_MS) is None


@given(st.text(max_size=200) | st.text(ALPHABET, max_size=200))
def test_whatever_else_comes_is_no_token(text: str):
    assert all(SIGNER.read(kind, text, NOW_MS) is None for kind in LinkKind)


@given(kinds, kinds, recipients)
def test_no_token_does_the_work_of_another_kind(kind: LinkKind, other: LinkKind, recipient: Recipient):
    claim = SIGNER.read(other, token(kind, recipient), NOW_MS)
    assert (claim is None) == (kind != other)


@given(kinds, recipients, st.integers(-3, VALID_DAYS + 3), st.integers(0, DAY_MS - 1))
def test_a_token_is_good_for_all_of_its_days(kind: LinkKind, recipient: Recipient, days: int, more_ms: int):
    signed_ms = NOW_MS // DAY_MS * DAY_MS + more_ms
    claim = SIGNER.read(kind, token(kind, recipient, at_ms=signed_ms), signed_ms + days * DAY_MS)
    assert (claim is not None) == (-1 <= days <= (CONFIRM_DAYS if kind is LinkKind.CONFIRM else VALID_DAYS))


@given(kinds, recipients)
def test_an_older_key_is_accepted_as_long_as_it_is_known(kind: LinkKind, recipient: Recipient):
    before = TokenSigner(LinkKeys(1, {1: KEYS[1]}))
    after = TokenSigner(LinkKeys(2, {2: KEYS[2]}))
    old = before.sign(kind, before.head(recipient, NOW_MS))
    assert SIGNER.read(kind, old, NOW_MS) is not None
    assert after.read(kind, old, NOW_MS) is None
    assert before.read(kind, token(kind, recipient), NOW_MS) is None


@given(
    st.text(max_size=300) | st.text().map("https://".__add__) | st.text().map("https://a.example/".__add__)
)
def test_a_target_goes_into_a_header_as_it_is_or_not_at_all(url: str):
    clean = clean_target(url)
    if clean:
        assert clean.isascii()
        assert clean.isprintable()
        assert " " not in clean
        assert len(clean) <= MAX_DETAIL_BYTES
        assert clean.lower().startswith(("http://", "https://"))
        assert clean_target(clean) == clean


@given(recipients, st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_tracking_changes_no_html_but_links(recipient: Recipient, html: str):
    links = LinkMaker(SIGNER, "https://t.example").of(recipient, "news", "", NOW_MS)
    if "<a" not in html.lower():
        assert links.track(html, 1) == html
