"""Every setting, in one frozen object. Read by `bootstrap` and the entrypoints only.

Values come from `clarion.toml` in the working directory, then from `CLARION_*` variables, which win. A wrong value
stops the start with one line that names it.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from clarion.kernel.errors import Invalid

CONFIG_FILE: Final = "clarion.toml"


def _url_of(*schemes: str) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        if url.get_secret_value().partition("://")[0] not in schemes:
            msg = f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
            raise ValueError(msg)
        return url

    return AfterValidator(check)


PostgresUrl: TypeAlias = Annotated[SecretStr, _url_of("postgresql", "postgres")]
RedisUrl: TypeAlias = Annotated[SecretStr, _url_of("redis", "rediss")]


def _check_networks(text: str) -> str:
    for part in filter(None, map(str.strip, text.split(","))):
        ip_network(part)
    return text


Networks: TypeAlias = Annotated[str, AfterValidator(_check_networks)]
"""Networks in CIDR form, separated by commas."""


class Settings(BaseSettings):
    """What an operator may set. A store without a URL is an embedded one, inside the data directory."""

    model_config = SettingsConfigDict(
        env_prefix="CLARION_", toml_file=CONFIG_FILE, frozen=True, extra="forbid", env_ignore_empty=True
    )

    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{2,32}$")] = "us-east-1"
    region_number: Annotated[int, Field(ge=1, le=32_767)] = 1
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    postgres_url: PostgresUrl | None = None
    global_url: PostgresUrl | None = None
    redis_url: RedisUrl | None = None
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None
    master_key: SecretStr | None = None
    master_key_previous: SecretStr | None = None
    public_url: Annotated[str, Field(pattern=r"^https?://[^/\s?#]+(/[^\s?#]*[^/\s?#])?$")] | None = None
    link_key: Annotated[int, Field(ge=1, le=254)] = 1
    link_key_oldest: Annotated[int, Field(ge=1, le=254)] = 1
    log_level: Annotated[str, Field(pattern=r"^(debug|info|warning|error)$")] = "info"
    pool_size: Annotated[int, Field(ge=2, le=200)] = 12
    claim_batch: Annotated[int, Field(ge=1, le=5_000)] = 500
    dispatch_loops: Annotated[int, Field(ge=1, le=64)] = 4
    lease_s: Annotated[float, Field(gt=1, le=600)] = 30.0
    sweep_every_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    accept_concurrency: Annotated[int, Field(ge=1, le=32)] = 4
    egress_allow: Networks = ""
    model_url: (
        Annotated[str, Field(pattern=r"^https?://[^\s?#]+/v[12]/models/[^/\s?#:]+(/versions/[^/\s?#:]+)?$")]
        | None
    ) = None
    mlflow_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    retention_days: Annotated[int, Field(ge=4, le=3_650)] = 30

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then `CLARION_*`, then `clarion.toml`."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process. Raises Invalid with one line naming the first wrong setting."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"][:1])
        source = f"CLARION_{name.upper()} (or {name} in {CONFIG_FILE})"
        raise Invalid(f"{source}: {first['msg']}", name) from None
