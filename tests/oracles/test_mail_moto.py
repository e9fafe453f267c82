"""Amazon's signature check, by moto: whoever signs wrongly is refused, as Amazon would.

moto's SES knows single messages only; bulk calls are read back from aws-ses-v2-local, in `test_mail_npm`.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from importlib import import_module
from typing import Any, Final
from urllib.request import Request, urlopen

import msgspec
import pytest

from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import AUTH_CODE, Outcome
from clarion.kernel.clock import StoreClock
from clarion.testing.outside import loopback_transport, outside
from tests.integration.providers.mail import SENDER, config, letter

# moto and Flask use what their own dependencies give up; it says nothing about us.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
REGION: Final = "eu-west-1"
POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


class Cloud(msgspec.Struct, frozen=True):
    """A moto that checks signatures, and the key of a user who may do anything."""

    url: str
    key_id: str
    secret: str

    def received(self) -> list[dict[str, Any]]:
        """The messages that it took."""
        with urlopen(f"{self.url}/moto-api/data.json") as answer:  # noqa: S310  the server is this test's own
            return msgspec.json.decode(answer.read())["ses"]["Message"]


@pytest.fixture(scope="module")
def cloud() -> Generator[Cloud]:
    server = import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())

    def client(service: str) -> Any:
        return import_module("boto3").client(
            service, endpoint_url=url, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
        )

    iam = client("iam")
    iam.create_user(UserName="clarion")
    key = iam.create_access_key(UserName="clarion")["AccessKey"]
    iam.put_user_policy(UserName="clarion", PolicyName="all", PolicyDocument=json.dumps(POLICY))
    client("sesv2").create_email_identity(EmailIdentity=SENDER.rpartition("<")[2].rstrip(">"))
    # From now on signatures are checked. The content type matters: moto takes a form for something else.
    request = Request(f"{url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")  # noqa: S310  as above
    with urlopen(request):  # noqa: S310  as above
        yield Cloud(url, key["AccessKeyId"], key["SecretAccessKey"])
    server.stop()


async def send(cloud: Cloud, key_id: str, secret: str, region: str = REGION) -> Outcome:
    credentials = {"access_key_id": key_id, "secret_access_key": secret}
    transport = loopback_transport()
    account = config("ses", cloud.url, credentials, region=region)
    provider = build_provider(account, outside(StoreClock(), transport=transport))
    outcome = (await provider.send([letter(subject="Grüße", text="Hello ü", html="")]))[0]
    await provider.close()
    await transport.close()
    return outcome


async def test_a_message_signed_with_the_users_key_is_taken(cloud: Cloud):
    outcome = await send(cloud, cloud.key_id, cloud.secret)
    assert outcome.kind == "sent"
    assert outcome.provider_message_id
    assert [(message["subject"], message["body"]) for message in cloud.received()] == [("Grüße", "Hello ü")]


async def test_a_wrong_secret_keeps_the_message(cloud: Cloud):
    outcome = await send(cloud, cloud.key_id, "w" * 40)
    assert (outcome.kind, outcome.code) == ("transient", AUTH_CODE)


async def test_an_unknown_key_keeps_the_message(cloud: Cloud):
    outcome = await send(cloud, "AKIAXXXXXXXXXXXXXXXX", cloud.secret)
    assert (outcome.kind, outcome.code) == ("transient", AUTH_CODE)
