"""What saving a template needs from the outside."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from clarion.contracts.channels import Channel
from clarion.templates.model import RenderFailure, TemplateContent


class TrialVerdict(msgspec.Struct, frozen=True):
    """How a trial ended. `failure` is what rendering said; a trial that crashed or timed out has nothing to say."""

    kind: Literal["finished", "crashed", "timed_out"]
    failure: RenderFailure | None = None


class TrialRenderer(Protocol):
    """Renders a template where it can do no harm: with limits on memory and time, in a process of its own."""

    async def attempt(self, content: TemplateContent, channel: Channel) -> TrialVerdict:
        """Run `templates.run_trial` on one channel of the content, in a few seconds at most.

        `content` is flat: no partials, and each language complete.

        Raises Transient where no trial could be made.
        """
        ...
