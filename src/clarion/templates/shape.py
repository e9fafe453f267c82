"""Whether a template has what each of its channels and languages needs, before anything is made of it."""

from __future__ import annotations

from clarion.kernel.errors import Invalid
from clarion.templates.localize import canonical, check_fallbacks, check_locales, check_tag
from clarion.templates.model import MAX_PUSH_DATA, ChannelParts, EmailParts, PushParts, TemplateContent
from clarion.templates.parts import BASE, channels_of, locale_root


def check_shape(content: TemplateContent) -> None:
    """Raises Invalid with the path of what is missing, or too much."""
    channels = content.channels
    if not channels_of(channels):
        raise Invalid("a template needs at least one of email, push, sms", BASE)
    if channels.email is not None:
        _check_email(channels.email)
    _check_push(channels)
    if channels.sms is not None and not channels.sms.body.strip():
        raise Invalid("a text message needs a body", "channels.sms.body")
    _check_locales(content)


def _check_email(email: EmailParts) -> None:
    _check_one_body(email, "channels.email")
    if not email.subject.strip():
        raise Invalid("an e-mail needs a subject", "channels.email.subject")
    if not any(body.strip() for body in (email.html, email.mjml, email.text)):
        raise Invalid("an e-mail needs `html`, `mjml` or `text`", "channels.email")


def _check_one_body(email: EmailParts, path: str) -> None:
    if email.html and email.mjml:
        raise Invalid("`html` is made of `mjml`; give one of the two", f"{path}.mjml")


def _check_push(channels: ChannelParts) -> None:
    push = channels.push
    if push is None:
        return
    if not push.title.strip() and not push.body.strip():
        raise Invalid("a push message needs a title or a body", "channels.push")
    _check_data(push, "channels.push.data")


def _check_data(push: PushParts, path: str) -> None:
    if len(push.data) > MAX_PUSH_DATA:
        raise Invalid(f"a push message takes at most {MAX_PUSH_DATA} entries of data", path)


def _check_locales(content: TemplateContent) -> None:
    """Locales may leave out what they like, but say nothing that users of other languages would never get."""
    if content.locale:
        check_tag(content.locale, "locale")
    check_locales(content.locales, "locales")
    check_fallbacks(content.fallbacks, "fallbacks")
    for tag, said in content.locales.items():
        if canonical(tag) == canonical(content.locale):
            raise Invalid("it is the language of `channels`; leave it out here", f"locales.{tag}")
        _check_locale(said, content.channels, locale_root(tag))


def _check_locale(said: ChannelParts, base: ChannelParts, root: str) -> None:
    if extra := channels_of(said) & ~channels_of(base):
        names = [name for bit, name in enumerate(("email", "push", "sms")) if extra >> bit & 1]
        raise Invalid(f"`channels` has no {names[0]}; a locale can only translate what is there", root)
    if said.email is not None:
        _check_one_body(said.email, f"{root}.email")
    if said.push is not None and base.push is not None:
        _check_data(said.push, f"{root}.push.data")
        if unknown := sorted(said.push.data.keys() - base.push.data.keys()):
            raise Invalid(f"`channels.push.data` has no `{unknown[0]}`", f"{root}.push.data")
