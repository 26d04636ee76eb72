from __future__ import annotations

import os
from pathlib import Path

import pytest

from sovereign_ari.errors import SettingsError
from sovereign_ari.settings import read_settings


def test_without_anything_set_the_defaults_hold() -> None:
    settings = read_settings({}, None)
    assert (settings.api_port, settings.sip_port, settings.bind) == (8080, 5060, "127.0.0.1")
    assert not settings.chosen("api_port")


def test_what_can_be_made_again_is_kept_where_the_installer_keeps_it() -> None:
    installer = Path("asterisk/install").read_text()
    root = os.geteuid() == 0
    shared, own = Path("/var/cache/sovereign-ari"), Path.home() / ".cache" / "sovereign-ari"
    assert read_settings({}, None).cache == (shared if root else own)
    assert f"shared={shared}\n" in installer
    assert "cache=${XDG_CACHE_HOME:-$HOME/.cache}/sovereign-ari" in installer
    chosen = read_settings({"SOVEREIGN_CACHE_DIR": "/somewhere"}, None)
    assert chosen.cache == Path("/somewhere")


def test_an_unknown_name_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="SOVEREIGN_API_PROT") as caught:
        read_settings({"SOVEREIGN_API_PROT": "1"}, None)
    assert caught.value.hint == "did you mean SOVEREIGN_API_PORT?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOVEREIGN_API_PORT", "http"),
        ("SOVEREIGN_API_PORT", "0"),
        ("SOVEREIGN_SIP_PORT", "65536"),
        ("SOVEREIGN_RTP_PORTS", "20000"),
        ("SOVEREIGN_RTP_PORTS", "20000-10000"),
        ("SOVEREIGN_TRUNK_ADDRESSES", "192.0.2.0/24,nonsense"),
        ("SOVEREIGN_ARI_APP", "a b"),
        ("SOVEREIGN_BIND", "localhost"),
        ("SOVEREIGN_EXTERNAL_ADDRESS", "pbx;example"),
        ("SOVEREIGN_LOG_LEVEL", "loud"),
        ("SOVEREIGN_PUBLIC_URL", "voice.example.com"),
        ("SOVEREIGN_PUBLIC_URL", "https://voice.example.com/path"),
    ],
)
def test_a_value_that_does_not_fit_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value}, None)


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SOVEREIGN_API_PORT=9000\nSOVEREIGN_SIP_PORT=9001\n")
    settings = read_settings({"SOVEREIGN_API_PORT": "9002"}, file)
    assert (settings.api_port, settings.sip_port) == (9002, 9001)
    assert settings.chosen("sip_port")


def test_an_unknown_name_in_the_file_is_an_error_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SOVEREIGN_DATADIR=x\n")
    with pytest.raises(SettingsError, match="SOVEREIGN_DATADIR"):
        read_settings({}, file)


def test_an_empty_value_counts_as_not_set() -> None:
    settings = read_settings({"SOVEREIGN_API_PORT": "", "DATABASE_URL": ""}, None)
    assert not settings.chosen("api_port")
    assert settings.database_url is None


def test_addresses_are_split_at_commas() -> None:
    settings = read_settings({"SOVEREIGN_TRUNK_ADDRESSES": "192.0.2.0/24, 198.51.100.7"}, None)
    assert settings.trunk_addresses == ("192.0.2.0/24", "198.51.100.7")


def test_a_secret_is_in_no_message_and_no_text() -> None:
    settings = read_settings({"OPENAI_API_KEY": "sk-very-secret"}, None)
    assert "very-secret" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        read_settings({"SOVEREIGN_API_PORT": "very-secret"}, None)
    assert "very-secret" not in str(caught.value)


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVEREIGN_API_PORT", "9000")
    assert read_settings({}, None).api_port == 8080
    assert os.environ["SOVEREIGN_API_PORT"] == "9000"


def test_prices_are_read_from_json() -> None:
    text = '{"openai/gpt-5.4": {"million_input_tokens": 4}, "openai": {"minute": 0.1}}'
    settings = read_settings({"SOVEREIGN_PRICES": text}, None)
    assert settings.prices == {
        "openai/gpt-5.4": {"million_input_tokens": 4.0},
        "openai": {"minute": 0.1},
    }
    assert read_settings({}, None).prices == {}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"openai": 1}', '{"openai": {"hour": 1}}', '{"openai": {"minute": -1}}',
     '{"openai": {"minute": NaN}}', '{"openai": {"minute": 1e9}}'],
)  # fmt: skip
def test_prices_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SOVEREIGN_PRICES"):
        read_settings({"SOVEREIGN_PRICES": text}, None)


def test_a_country_is_one_that_has_telephones() -> None:
    assert read_settings({"SOVEREIGN_COUNTRY": "NL"}, None).country == "NL"
    with pytest.raises(SettingsError, match="COUNTRY"):
        read_settings({"SOVEREIGN_COUNTRY": "UK"}, None)  # it is GB
