"""Reading of URLs that strangers configure."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from sovereign_ari.outgoing.urls import UrlFault, read_target

ODD = st.text(st.sampled_from("aZ0189.:/?#@[]%\\ \t\r\n\x00-_~xX。１①ß٣‮☃"), max_size=40)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/Path?Q=1", "https://example.com/Path?Q=1"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://example.com.", "https://example.com/"),
        ("https://example.com?a=b", "https://example.com/?a=b"),
        ("https://example.com/#secret", "https://example.com/"),
        ("https://example.com#x", "https://example.com/"),
        ("https://bücher.example/ß?ü", "https://xn--bcher-kva.example/%C3%9F?%C3%BC"),
        ("https://ＥＸＡＭＰＬＥ。com/", "https://example.com/"),
        ("https://１.１.１.１/", "https://1.1.1.1/"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://[2606:4700:0::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://example.com/a%2Fb%20c", "https://example.com/a%2Fb%20c"),
    ],
)
def test_a_url_is_written_in_one_way(url: str, normal: str) -> None:
    target = read_target(url)
    assert target.url == normal
    assert read_target(normal) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript://example.com/",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https://",
        "https://?a",
        "https://#a",
        "https://:443/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://:@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:80@127.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com\\.evil/",
        "https:\\\\example.com/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:00/",
        "https://example.com:65536/",
        "https://example.com:-1/",
        "https://example.com:+80/",
        "https://example.com:8 0/",
        "https://example.com:٨٠/",
        "https://example.com:80:80/",
        "https://example.com:http/",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0X7F.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.01/",
        "https://127.0.0.256/",
        "https://1.2.3.4.5/",
        "https://1.2.3.0x4/",
        "https://127.0.0.1../",
        "https://example.com../",
        "https://.example.com/",
        "https://a..b/",
        "https://./",
        "https://-a.example/",
        "https://a-.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + ".".join(["a" * 60] * 5) + "/",
        "https://ex%61mple.com/",
        "https://127.0.0.1%2f@example.com/",
        "https://%31%32%37.0.0.1/",
        "https://[::1/",
        "https://::1]/",
        "https://::1/",
        "https://[::1]x/",
        "https://[::1]:/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[127.0.0.1]/",
        "https://[]/",
        "https://[v1.x]/",
        "https://[[::1]]/",
        "https://exa mple.com/",
        "https://example.com/ x",
        " https://example.com/",
        "https://example.com/\t",
        "ht\ttps://example.com/",
        "https://exa\nmple.com/",
        "https://example.com/\r\nHost: evil",
        "https://example.com/\x00",
        "https://example.com/\x7f",
        "https://example.com/\xa0",
        "https://exa\u200bmple..com/",
        "https://\u202eexample.com/",
        "https://example.com/\ud800",
        "https://<b>.example/",
        'https://"a".example/',
        "https://a,b.example/",
        "https://xn--/",
        "https://☃.example\u2028/",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UrlFault):
        read_target(url)


@given(st.tuples(st.sampled_from(["https://", "http://", ""]), ODD, ODD).map("".join))
@example("https://a.b:8/x")
def test_every_reader_understands_what_we_write(url: str) -> None:
    try:
        target = read_target(url)
    except UrlFault:
        return
    split, yarl, httpx_url = urlsplit(target.url), URL(target.url), httpx.URL(target.url)
    assert target.url.isascii()
    assert split.hostname == yarl.raw_host == httpx_url.raw_host.decode().strip("[]")
    assert split.hostname == target.host
    assert (split.port or {"http": 80, "https": 443}[split.scheme]) == target.port == yarl.port
    assert split.username is None
    assert yarl.user is None
    assert httpx_url.userinfo == b""
    assert read_target(target.url) == target
