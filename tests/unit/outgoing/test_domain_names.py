"""Names of domains, in any alphabet."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sovereign_ari.outgoing.domain_names import LONGEST, PATTERN, ascii_domain


@given(st.from_regex(PATTERN, fullmatch=True))
def test_whatever_the_published_pattern_describes_is_taken(name: str) -> None:
    if len(name) <= LONGEST and "xn--" not in name.lower():
        assert ascii_domain(name) == name.lower()


@given(st.text(max_size=300))
@example("bäckerei.example")
@example("例え.テスト")
@example("a\u3002example")
@example("xn--.example")
@example("\u200d.example")
def test_every_text_is_refused_or_becomes_a_name(text: str) -> None:
    name = "refused.example"
    with contextlib.suppress(ValueError):
        name = ascii_domain(text)
    assert len(name) <= LONGEST
    assert re.fullmatch(PATTERN, name)
    assert ascii_domain(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM.", "example.com"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".co", ".".join(["a" * 49] * 5) + ".co"),
    ],
)
def test_names_are_written_as_the_dns_has_them(text: str, name: str) -> None:
    assert ascii_domain(text) == name
