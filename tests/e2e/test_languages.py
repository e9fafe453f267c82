"""Readers of several languages get one template's mail, each in her own, and the trace says in which."""

from __future__ import annotations

import re

from clarion.testing.smtp import SinkMessage, SmtpSink
from tests.live.support import Person, letter

FOOTER = {
    "mjml": "<mj-section><mj-column><mj-text>Bye from {{ tenant.name }}</mj-text></mj-column></mj-section>",
    "text": "Bye",
    "locales": {"de": {"text": "Tschüss"}},
}
BODY = (
    "<mjml><mj-body><mj-section><mj-column>{% for line in lines %}<mj-text>{{ line }}</mj-text>{% endfor %}"
    '</mj-column></mj-section>{% include "footer" %}</mj-body></mjml>'
)
TEMPLATE = {
    "category": "transactional",
    "locale": "en",
    "channels": {"email": {"subject": "Order {{ order }}", "mjml": BODY, "text": '{% include "footer" %}'}},
    "locales": {
        "de": {"email": {"subject": "Bestellung {{ order }}", "text": 'Danke. {% include "footer" %}'}},
        "pt": {"email": {"subject": "Pedido {{ order }}"}},
        "tlh": {"email": {"subject": "nuqneH"}},
    },
    "fallbacks": {"gsw": "de"},
}
READERS = {"gsw-CH": "de", "de": "de", "pt-BR": "pt", "en-GB": "en", "xx": "en", "": "en"}
SUBJECTS = {"de": "Bestellung 7", "pt": "Pedido 7", "en": "Order 7"}


def parts_of(message: SinkMessage) -> dict[str, str]:
    """What a mail says, by content type."""
    parts = [part for part in letter(message).walk() if not part.is_multipart()]
    return {part.get_content_type(): str(part.get_content()).strip() for part in parts}


async def test_everybody_reads_her_own_language(sender: Person, sink: SmtpSink):
    await sender.get("PUT /partials/footer", FOOTER)
    await sender.get("PUT /templates/order", TEMPLATE)
    sent: dict[str, str] = {}
    for i, (language, locale) in enumerate(READERS.items()):
        profile = {"language": language} if language else {}
        await sender.get(f"PUT /users/user-{i}", {"email": f"user-{i}@example.org", **profile})
        data = {"order": 7, "lines": ["tea", "biscuits"]}
        accepted = await sender.notify(user_id=f"user-{i}", template="order", data=data)
        sent[accepted["notification_id"]] = locale
    assert dict(await sender.all_over(len(READERS))) == {"sent": len(READERS)}

    for ident, locale in sent.items():
        (attempt,) = await sender.attempts(ident)
        assert attempt["locale"] == locale
    mails = {message.recipients[0]: message for message in await sink.messages()}
    for i, locale in enumerate(READERS.values()):
        assert letter(mails[f"user-{i}@example.org"])["subject"] == SUBJECTS[locale]
    assert parts_of(mails["user-0@example.org"]) == {"text/plain": "Danke. Tschüss"}
    portuguese = parts_of(mails["user-2@example.org"])
    assert portuguese["text/plain"] == "Bye"
    assert re.search("tea.*biscuits.*Bye from", portuguese["text/html"], re.DOTALL)
    assert "<mj-" not in portuguese["text/html"]


async def test_what_fails_in_one_language_fails_there_and_says_so(sender: Person):
    await sender.get(
        "PUT /templates/hello",
        {
            "category": "transactional",
            "channels": {"email": {"subject": "Hi", "text": "Hi"}},
            "locales": {"de": {"email": {"text": "Hallo {{ user.anrede }}"}}},
        },
    )
    for name, language in [("user-0", "de"), ("user-1", "fr")]:
        await sender.get(f"PUT /users/{name}", {"email": f"{name}@example.org", "language": language})
    german, french = [await sender.notify(user_id=f"user-{i}", template="hello") for i in range(2)]
    assert await sender.ends(german["notification_id"]) == "failed"
    assert await sender.ends(french["notification_id"]) == "sent"
    (attempt,) = await sender.attempts(german["notification_id"])
    assert attempt["rule"] == "template_undefined"
    assert "email.text (de), line 1" in attempt["detail"]
    assert "user.anrede" in attempt["detail"]


async def test_the_tenants_language_is_for_those_whose_own_is_not_there(sender: Person, sink: SmtpSink):
    await sender.get("PUT /localization", {"language": "fr"})
    assert await sender.get("GET /localization") == {"language": "fr"}
    await sender.get(
        "PUT /templates/hello",
        {
            "category": "transactional",
            "channels": {"email": {"subject": "Hi", "text": "Hi"}},
            "locales": {"fr": {"email": {"subject": "Salut", "text": "Salut"}}},
        },
    )
    await sender.users(1, language="it")
    accepted = await sender.notify(template="hello")
    assert await sender.ends(accepted["notification_id"]) == "sent"
    (message,) = await sink.messages()
    assert letter(message)["subject"] == "Salut"
    answer = await sender.call("PUT /localization", {"language": "Klingon, of course"})
    assert answer.status == 400
