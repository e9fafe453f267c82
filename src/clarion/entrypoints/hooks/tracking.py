"""Clicks and opens: a redirect and a picture, answered from the token alone. Nothing here waits for a store."""

from __future__ import annotations

import base64
from typing import Final

from clarion.delivery.links.maker import clean_target
from clarion.delivery.links.tokens import Claim, LinkKind
from clarion.delivery.links.visits import VisitKind, visit_kind
from clarion.entrypoints.api.replies import Header, Page, Picture, Reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks.pages import no_such_link
from clarion.entrypoints.hooks.phrases import Speech, choose_speech

_PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_GIF: Final = b"image/gif"
_NOT_INDEXED: Final[Header] = (b"x-robots-tag", b"noindex, nofollow")


def read_claim(call: Call, kind: LinkKind) -> Claim | None:
    """What the token in the path says; None where it is none of this kind."""
    region = call.services.gateway.region
    return region.links.read(kind, call.request.scope["path_params"]["token"], region.clock.now_ms())


def accepted_speech(call: Call, own: str = "", tenants: str = "") -> Speech:
    """The language to answer a reader in: her own, what her browser accepts, her tenant's (tags; "": unknown)."""
    accepted = call.trip.headers.get(b"accept-language", b"").decode("latin-1")
    return choose_speech(own, tenants, accepted=accepted)


def _note(call: Call, claim: Claim, kind: VisitKind) -> None:
    seen = visit_kind(kind, call.route.method, call.trip.headers)
    now_ms = call.services.gateway.region.clock.now_ms()
    call.services.visits.note(claim.recipient.delivery_id, seen, now_ms)


async def _redirect(call: Call) -> Reply:
    claim = read_claim(call, LinkKind.CLICK)
    # Signed by us, and looked at once more: whatever went wrong, this leads to a web address or nowhere.
    target = clean_target(claim.detail) if claim else ""
    if claim is None or not target:
        return no_such_link(accepted_speech(call))
    _note(call, claim, "clicked")
    return Reply(302, b"", ((b"location", target.encode()), (b"content-length", b"0"), _NOT_INDEXED))


async def _show_pixel(call: Call) -> Reply:
    claim = read_claim(call, LinkKind.OPEN)
    if claim is None:
        return no_such_link(accepted_speech(call))
    _note(call, claim, "opened")
    return Reply(200, _PIXEL, (_NOT_INDEXED,), _GIF)


_CLICK: Final = Spec(tag="links", scope=None, answers={302: None, 404: Page})
_OPEN: Final = Spec(tag="links", scope=None, answers={200: Picture, 404: Page})


@route("GET /t/c/{token}", _CLICK)
async def follow_click(call: Call) -> Reply:
    """Follow a link in a message, to the target that is signed into it. Nothing else can be made of it."""
    return await _redirect(call)


@route("HEAD /t/c/{token}", _CLICK)
async def probe_click(call: Call) -> Reply:
    """Where a link in a message leads. Counted as a machine's visit, as who follows links sends GET."""
    return await _redirect(call)


@route("GET /t/o/{token}", _OPEN)
async def show_pixel(call: Call) -> Reply:
    """The invisible picture at the end of a message."""
    return await _show_pixel(call)


@route("HEAD /t/o/{token}", _OPEN)
async def probe_pixel(call: Call) -> Reply:
    """The same without its body, counted as a machine's visit."""
    return await _show_pixel(call)


ROUTES: Final[tuple[Route, ...]] = (follow_click, probe_click, show_pixel, probe_pixel)
