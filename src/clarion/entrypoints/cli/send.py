"""`clarion send` and `clarion template`: the API from the command line, as the default tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from clarion.entrypoints.cli.client import ApiClient, account_of, path_of
from clarion.kernel.errors import Invalid


class SendOptions(msgspec.Struct, frozen=True):
    """The command's options. `values` are `NAME=VALUE`."""

    data: Path
    user: str
    category: str
    template: str | None
    values: list[str]


def run_send(options: SendOptions) -> int:
    """Send one notification and print the answer."""
    values: dict[str, str] = {}
    for pair in options.values:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Invalid(f"{pair!r} is not NAME=VALUE", "data")
        values[name] = value
    if options.template is None and not values:
        values = {"subject": "Hello from Clarion", "title": "Hello", "body": "It works."}
    body: dict[str, Any] = {"user_id": options.user, "category": options.category, "data": values}
    if options.template is not None:
        body["template"] = options.template
    with ApiClient(account_of(options.data)) as api:
        _show(api.call("POST", "/api/v1/notifications", body))
    return 0


def put_template(data: Path, name: str, file: Path) -> int:
    """Save a file as a template's next version."""
    try:
        content = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}", "file") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{file} is no JSON: {error}", "file") from error
    with ApiClient(account_of(data)) as api:
        _show(api.call("PUT", path_of("templates", name), content))
    return 0


def show_template(data: Path, name: str) -> int:
    """Print a template's latest version."""
    with ApiClient(account_of(data)) as api:
        _show(api.call("GET", path_of("templates", name)))
    return 0


def _show(answer: Any) -> None:  # noqa: ANN401  any JSON
    Console().print_json(data=answer)
