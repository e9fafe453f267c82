"""Whatever is in messages, each recipient of a vendor of e-mail gets exactly what was rendered for her, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Message, Outcome
from clarion.kernel.clock import StoreClock
from clarion.testing.outside import outside
from clarion.testing.vendors import MailDouble, MailgunDouble, SendGridDouble, SesDouble
from tests.integration.providers.mail import KINDS, config, letter

DOUBLES: Final[dict[str, type[MailDouble]]] = {
    "sendgrid": SendGridDouble,
    "ses": SesDouble,
    "mailgun": MailgunDouble,
}
HOSTILE: Final = st.sampled_from(
    [
        "{{c0}}",
        "{",
        "}}",
        "\\",
        "%recipient.c0%",
        "%recipient",
        "-clarion-c0-",
        "-clarion-",
        "<",
        "&",
        '"',
        "\1",
        "\r\n",
        "--",
    ]
)
WORD: Final = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
PIECE: Final = st.one_of(WORD, HOSTILE)
TEXT: Final = st.lists(PIECE, max_size=5).map("".join)
SUBJECT: Final = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
LITERAL: Final = st.lists(st.one_of(PIECE, st.just("<p>The same for everybody.</p>\n")), max_size=3).map(
    "".join
)


class Direct:
    """An `HttpTransport` to a double in this process: what is tried here is content, not connections."""

    def __init__(self, double: MailDouble) -> None:
        self._double = double

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        del within_s
        on_leaving()
        reply = self._double.answer(request)
        return HttpReply(
            reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.body
        )

    async def close(self) -> None:
        """Nothing."""


async def send(kind: str, messages: list[Message]) -> tuple[list[Outcome], MailDouble]:
    double = DOUBLES[kind]()
    provider = build_provider(config(kind), outside(StoreClock(), transport=Direct(double)))
    outcomes = await provider.send(messages)
    await provider.close()
    return outcomes, double


@pytest.mark.parametrize("kind", KINDS)
@given(
    literals=st.lists(LITERAL, min_size=3, max_size=3),
    people=st.lists(st.tuples(SUBJECT, TEXT, TEXT), min_size=1, max_size=8),
)
def test_everybody_gets_her_own_once(kind: str, literals: list[str], people: list[tuple[str, str, str]]):
    first, middle, last = literals
    messages = [
        letter(
            subject=f"News for {subject}",
            text=f"{first}{one}{middle}{two}.",
            html=f"<h1>{two}</h1>{middle}{one}{last}",
            shape="any:1:",
        )
        for subject, one, two in people
    ]
    outcomes, double = asyncio.run(send(kind, messages))
    assert {outcome.kind for outcome in outcomes} == {"sent"}
    assert double.taken == len(messages)
    assert double.texts() == {
        message.delivery_id: (message.subject.strip(), message.text, message.html) for message in messages
    }
