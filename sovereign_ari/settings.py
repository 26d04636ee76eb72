"""Every knob of the product, in one frozen model read once.

Read from the environment, and from a `.env` file in the working folder, whose values the
environment overrides. `__main__` and `app` unpack it; no other module reads the environment.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from phonenumbers import SUPPORTED_REGIONS
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sovereign_ari.errors import SettingsError

PREFIX = "SOVEREIGN_"
_SHARED_CACHE = Path("/var/cache/sovereign-ari")
Port = Annotated[int, Field(ge=1, le=65535)]
Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Priced = Literal["minute", "million_input_tokens", "million_output_tokens", "million_characters"]


class Settings(BaseSettings):
    """All settings. A name below is the environment variable `SOVEREIGN_<NAME>`, upper case."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    cache_dir: Path | None = None
    bind: str = "127.0.0.1"
    api_port: Port = 8080
    sip_port: Port = 5060
    sip_tls_port: Port = 5061
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    ari_port: Port = 8088
    rtp_ports: str = "10000-19999"
    trunk_addresses: Annotated[tuple[str, ...], NoDecode] = ()
    external_address: str | None = None
    country: str | None = None
    public_url: str | None = Field(
        default=None, pattern=r"^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?$", max_length=255
    )
    api_key: SecretStr | None = None
    controllers: int = Field(default=1, ge=1, le=64)
    rate_limit_per_minute: int = Field(default=100, ge=1, le=1_000_000)
    price_per_minute: float = Field(default=0.0, ge=0, le=1000)
    prices: Annotated[dict[str, dict[Priced, Price]], NoDecode] = {}
    drain_timeout_s: float = Field(default=20.0, ge=0, le=3600)
    ring_timeout_s: float = Field(default=45.0, ge=5, le=120)
    master_key_file: Path | None = None
    tool_filler_after_s: float = Field(default=2.5, ge=0.5, le=60)
    tool_filler_every_s: float = Field(default=6.0, ge=1, le=600)
    outgoing_allow: Annotated[tuple[str, ...], NoDecode] = ()
    transfer_headers: Annotated[tuple[Literal["call-id", "summary"], ...], NoDecode] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "pretty"] = "auto"

    ari_url: str | None = None
    ari_username: str = "sovereign"
    ari_password: SecretStr | None = None
    ami_port: Port = 5038
    ami_password: SecretStr | None = None
    pbx_log: Path | None = None
    node: str = Field(default="local", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    ari_app: str = Field(default="sovereign", pattern=r"^[a-z][a-z0-9-]{0,27}$")
    media_address: str = "127.0.0.1"
    controller_port: Port | None = None

    hedge_llm: bool = True
    speculate: bool = True

    default_stt: str | None = None
    default_llm: str | None = None
    default_tts: str | None = None

    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "database_url")
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key")
    )
    openai_base_url: str = Field(
        default="https://api.openai.com/v1",
        validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url"),
    )

    google_application_credentials: Path | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "GOOGLE_APPLICATION_CREDENTIALS", "google_application_credentials"
        ),
    )

    @field_validator("trunk_addresses", "outgoing_allow", "transfer_headers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("prices", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("trunk_addresses", "outgoing_allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part, strict=False)
        return value

    @field_validator("bind", "external_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            ipaddress.ip_address(value)  # names would be looked up by Asterisk, again and again
        return value

    @field_validator("country")
    @classmethod
    def _country(cls, value: str | None) -> str | None:
        if value is not None and value not in SUPPORTED_REGIONS:
            raise ValueError("is not the code of a country, such as NL")
        return value

    @field_validator("rtp_ports")
    @classmethod
    def _range(cls, value: str) -> str:
        first, _, last = value.partition("-")
        if not (first.isdigit() and last.isdigit() and 1024 <= int(first) < int(last) <= 65535):
            raise ValueError("is not FIRST-LAST with 1024 <= FIRST < LAST <= 65535")
        return value

    @property
    def master_keys(self) -> Path:
        """Where the master keys are."""
        return self.master_key_file or self.data_dir / "master.keys"

    @property
    def cache(self) -> Path:
        """Where things are kept that can be made again: `asterisk/install` has the same rule."""
        if self.cache_dir is not None:
            return self.cache_dir
        try:
            own = Path.home() / ".cache" / "sovereign-ari"
        except RuntimeError:  # nobody's home
            own = self.data_dir / "cache"
        return _SHARED_CACHE if os.geteuid() == 0 else own

    def chosen(self, name: str) -> bool:
        """Whether the operator set this field, rather than leaving the default."""
        return name in self.model_fields_set


def read_settings(
    environment: Mapping[str, str], env_file: Path | None = Path(".env")
) -> Settings:
    """Build the settings from an environment and an optional `.env` file.

    Raises:
        SettingsError: For an unknown `SOVEREIGN_*` name (the message names the nearest known
            one) or a value that does not fit (the message names the variable).
    """
    merged = dict(environment)
    if env_file is not None and env_file.is_file():
        read = dotenv_values(env_file)
        merged = {k: v for k, v in read.items() if v is not None} | merged
    known = {_variable(name) for name in Settings.model_fields}
    for name in sorted(merged):
        if name.startswith(PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise SettingsError(f"unknown setting {name}", hint=f"did you mean {nearest}?")
    values = {
        name: merged[_variable(name)]
        for name in Settings.model_fields
        if merged.get(_variable(name), "") != ""
    }
    before = dict(os.environ)
    try:
        for name in known & before.keys():  # the mapping we were given is the only source
            del os.environ[name]
        return Settings(**values)  # type: ignore[arg-type]  # strings are parsed by the fields
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = _variable(str(fault["loc"][0]))
        raise SettingsError(f"{field}: {fault['msg']}", hint="see deploy/env.example") from None
    finally:
        os.environ.update({k: v for k, v in before.items() if k not in os.environ})


def _variable(field: str) -> str:
    """Name the environment variable of a field."""
    if field.startswith(("database_url", "openai_", "google_application")):
        return field.upper()
    return PREFIX + field.upper()
