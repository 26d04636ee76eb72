"""What asterisk/etc, deploy/env.example and the documents say must be what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sovereign_ari.bundle.asterisk_config import (
    SOURCE,
    Folders,
    PbxValues,
    rendered,
    substitutions,
)
from sovereign_ari.bundle.plan import app_names
from sovereign_ari.conversation.own_words import OWN_WORDS
from sovereign_ari.domain import dialplan
from sovereign_ari.domain.transfer import MOST_HOPS, OUTWARDS
from sovereign_ari.settings import Settings, read_settings
from sovereign_ari.telephony.silence import GOODBYES

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("/nowhere")
FOLDERS = Folders(HERE, HERE, HERE, HERE, HERE, HERE)
VALUES = PbxValues(
    identity="0123456789ab",
    bind="127.0.0.1",
    sip_port=5060,
    ari_port=8088,
    ari_username="sovereign",
    ari_password="password-of-ari",
    softphone_password="password-of-softphone",
    apps=("sovereign", "sovereign-2"),
    rtp_ports=(10000, 19999),
    trunk_addresses=("192.0.2.0/24",),
    external_address="198.51.100.1",
)


def config(name: str) -> str:
    return dict(rendered(substitutions(VALUES, FOLDERS)))[name]


def section(text: str, name: str) -> str:
    found = re.search(rf"^\[{re.escape(name)}\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no [{name}]"
    return found[1]


def example() -> dict[str, str]:
    lines = (ROOT / "deploy" / "env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_controller_sends_calls_to_a_place_that_the_dialplan_has() -> None:
    context = section(config("extensions.conf"), dialplan.ANSWER_CONTEXT)
    assert f"exten => {dialplan.ANSWER_EXTENSION},1," in context
    assert f"TIMEOUT(absolute)=${{{dialplan.VARIABLE_MAX_S}}}" in context


def test_calls_are_transferred_by_contexts_that_the_dialplan_has() -> None:
    joins = section(config("extensions.conf"), dialplan.TRANSFER_CONTEXT)
    assert f"exten => {dialplan.WAIT_EXTENSION},1," in joins
    assert f"exten => {dialplan.JOIN_EXTENSION},1," in joins
    assert f" same => n(join),Bridge(${{{dialplan.VARIABLE_PEER}}},x)" in joins
    refers = section(config("extensions.conf"), dialplan.REFER_CONTEXT)
    assert f"exten => {dialplan.REFER_EXTENSION},1," in refers
    assert f"Transfer(${{{dialplan.VARIABLE_REFER_TO}}})" in refers
    for context in (joins, refers):
        assert f"Stasis(${{SOVEREIGN_APP}},{dialplan.ARGUMENT_BACK}," in context
    # By address alone, and none is its own: a caller must not be taken for it by his name.
    outwards = f"[{OUTWARDS}](ours)\ncontext = from-trunk\nidentify_by = ip\n"
    assert outwards in config("pjsip.conf")
    assert "\nallow_transfer = no" in config("pjsip.conf")


def test_a_phone_sends_others_only_to_what_it_may_dial_itself() -> None:
    assert f"\nset_var = TRANSFER_CONTEXT={dialplan.REFERRED_CONTEXT}\n" in config("pjsip.conf")
    assert config("pjsip.conf").count("allow_transfer = yes") == 1
    referred = section(config("extensions.conf"), dialplan.REFERRED_CONTEXT)
    assert set(re.findall(r"Goto\(([a-z-]+),", referred)) == {"from-local"}
    ways = re.findall(r"^exten => _\S+,1,(.*)$", referred, re.M)
    count = f"Set(__{dialplan.VARIABLE_HOPS}=$[0${{{dialplan.VARIABLE_HOPS}}} + 1])"
    assert ways == [count] * 2, "no way is without the count"
    assert referred.count(f"GotoIf($[${{{dialplan.VARIABLE_HOPS}}} > {MOST_HOPS}]?loop,1)") == 2
    assert not re.search(
        r"Dial|PJSIP|Local/", referred + section(config("extensions.conf"), "from-local")
    )


def test_who_brings_his_own_asterisk_is_told_of_all_that_it_must_have() -> None:
    told = (ROOT / "asterisk" / "OWN-ASTERISK.md").read_text()
    contexts = re.findall(r"^\[((?:sovereign|from)-[a-z]+)\]$", config("extensions.conf"), re.M)
    assert len(contexts) >= 8
    assert [name for name in (*contexts, OUTWARDS) if f"`{name}`" not in told] == []
    loaded = re.findall(
        r"^(?:require|load) = (app_[a-z]+|func_[a-z]+)", config("modules.conf"), re.M
    )
    common = {"app_stasis", "app_mixmonitor", "func_callerid", "func_channel", "func_hangupcause"}
    assert [name for name in loaded if name not in common and f"`{name}`" not in told] == []
    assert f"channelvars = {dialplan.VARIABLE_CALL}\n" in told
    assert f"channelvars = {dialplan.VARIABLE_CALL} " in config("ari.conf")


def test_the_dialplan_names_the_arguments_that_the_controller_reads() -> None:
    text = config("extensions.conf")
    answer = section(text, dialplan.ANSWER_CONTEXT)
    inbound = section(text, "sovereign-inbound")
    assert f"Stasis(${{SOVEREIGN_APP}},{dialplan.ARGUMENT_INBOUND}," in inbound
    assert f"Stasis(${{SOVEREIGN_APP}},{dialplan.ARGUMENT_ANSWERED})" in answer
    assert f"Stasis(${{SOVEREIGN_APP}},{dialplan.ARGUMENT_TIMEOUT})" in answer
    theirs = re.findall(r"Stasis\([^)]*\)", text)
    assert not [line for line in theirs if dialplan.ARGUMENT_MEDIA in line]


def test_the_dialplan_knows_what_a_controller_tells_it_for_the_time_after_its_death() -> None:
    text = config("extensions.conf")
    answer = section(text, dialplan.ANSWER_CONTEXT)
    named = {name for name in vars(dialplan) if name.startswith("VARIABLE_")}
    named -= {"VARIABLE_PEER", "VARIABLE_REFER_TO", "VARIABLE_HOPS"}  # of transfers
    for name in named:
        assert f"${{{getattr(dialplan, name)}}}" in answer, name
    for variable in (dialplan.VARIABLE_ALONE_S, dialplan.VARIABLE_ALONE_REASON):
        assert f"\n{variable} = " in section(text, "globals"), "every call has one"
    assert f"GLOBAL({dialplan.GLOBAL_ENDED}${{{dialplan.VARIABLE_CALL}}})=" in answer
    assert re.findall(r"TIMEOUT\(absolute\)=\d+", answer.split("exten => T,1")[1])


def test_the_pbx_says_goodbye_in_each_of_our_languages() -> None:
    sounds = ROOT / "asterisk" / "sounds"
    spoken = {"en"} | {file.parent.name for file in sounds.glob("*/goodbye.ulaw")}
    assert spoken == GOODBYES.keys() == OWN_WORDS.keys()
    assert all(20_000 < file.stat().st_size < 60_000 for file in sounds.rglob("*.ulaw"))


def test_the_dialplan_offers_calls_to_every_controller() -> None:
    text = section(config("extensions.conf"), "globals")
    apps = app_names(read_settings({"SOVEREIGN_CONTROLLERS": "2"}, None))
    assert "SOVEREIGN_APPS = 2" in text
    for number, app in enumerate(apps, 1):
        assert f"SOVEREIGN_APP_{number} = {app}\n" in text


def test_the_endpoints_use_contexts_that_exist() -> None:
    dial = config("extensions.conf")
    contexts = re.findall(r"^context = (\S+)", config("pjsip.conf"), re.MULTILINE)
    assert sorted(set(contexts)) == ["from-local", "from-trunk"]
    for context in contexts:
        assert section(dial, context)


def test_no_dialplan_reaches_a_trunk() -> None:
    text = re.sub(r";.*", "", config("extensions.conf"))
    assert "Dial(" not in text
    assert "PJSIP/" not in text


def test_what_a_caller_sends_is_filtered_before_it_becomes_an_argument() -> None:
    inbound = section(config("extensions.conf"), "sovereign-inbound")
    assert "CALLERID(num)" not in re.findall(r"Stasis\(.*\)", inbound)[0]
    assert re.search(r"FILTER\([^,]*,\$\{CALLERID\(num\)\}\)", inbound)
    text = config("extensions.conf")
    for context in ("from-local", "from-trunk"):
        for use in re.findall(r"^.*\$\{EXTEN.*$", section(text, context), re.MULTILINE):
            assert "Set(SOVEREIGN_TO=${EXTEN})" in use or use.startswith("exten => _XX"), use


def test_only_loopback_reaches_ari() -> None:
    assert "bindaddr = 127.0.0.1\n" in config("http.conf")
    assert "bindport = 8088\n" in config("http.conf")
    user = section(config("ari.conf"), "sovereign")
    assert "password = password-of-ari\n" in user
    assert "deny = 0.0.0.0/0.0.0.0\n" in user


def test_the_default_settings_are_those_of_the_templates() -> None:
    defaults = Settings.model_fields
    assert defaults["ari_username"].default == VALUES.ari_username
    assert defaults["ari_app"].default == VALUES.apps[0]
    assert defaults["rtp_ports"].default == "10000-19999"
    assert "rtpstart = 10000\nrtpend = 19999\n" in config("rtp.conf")


def test_a_trunk_appears_only_when_its_addresses_are_set() -> None:
    assert "match = 192.0.2.0/24\n" in config("pjsip.conf")
    assert "anonymous" not in re.sub(r";.*", "", config("pjsip.conf") + config("modules.conf"))


def test_every_module_has_a_reason_or_a_title() -> None:
    text = (SOURCE / "modules.conf").read_text()
    assert "autoload = no" in text
    lines = [line for line in text.splitlines() if line.startswith(("load", "require"))]
    names = [line.split("=")[1].split(";")[0].strip() for line in lines]
    assert len(names) == len(set(names))
    for block in text.split("\n\n")[1:]:
        assert block.startswith(";"), f"a block without a title: {block[:40]}"


def test_no_value_is_left_unfilled() -> None:
    for name, text in rendered(substitutions(VALUES, FOLDERS)):
        assert "@{" not in text, name


def test_the_example_lists_every_setting_with_its_default() -> None:
    listed = example()
    variables = {
        name.upper()
        if name.startswith(("database_url", "openai_", "google_application"))
        else f"SOVEREIGN_{name.upper()}"
        for name in Settings.model_fields
    }
    assert set(listed) == variables
    assert read_settings(listed, None) == read_settings({}, None)
    for name, field in Settings.model_fields.items():
        variable = f"SOVEREIGN_{name.upper()}" if name.upper() not in listed else name.upper()
        default = "true" if field.default is True else field.default
        assert listed[variable] == ("" if default in (None, ()) else str(default)), variable


@pytest.mark.parametrize("document", ["README.md", "deploy/RUNBOOK.md", "asterisk/README.md"])
def test_the_documents_name_settings_that_exist(document: str) -> None:
    known = {f"SOVEREIGN_{name.upper()}" for name in Settings.model_fields}
    dialplan_names = set(re.findall(r"SOVEREIGN_[A-Z_]+", config("extensions.conf")))
    known |= dialplan_names
    named = set(re.findall(r"SOVEREIGN_[A-Z_]+\b", (ROOT / document).read_text()))
    assert {name for name in named if name not in known and not name.endswith("_")} == set()
