"""The expected values are those of RFC 7616 section 3.9.1."""

from __future__ import annotations

import pytest

from tests.support.sip_digest import Credentials, authorization, parse_challenge, strongest

MUFASA = Credentials("Mufasa", "Circle of Life")
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def header(algorithm: str) -> str:
    return (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", '
        f"algorithm={algorithm}, "
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_answer_is_the_one_of_the_standard(algorithm: str, response: str) -> None:
    challenge = parse_challenge(header(algorithm))
    assert challenge is not None
    answer = authorization(challenge, MUFASA, "GET", "/dir/index.html", CNONCE)
    assert f'response="{response}"' in answer


def test_sha_256_is_preferred_and_the_unknown_is_passed_over() -> None:
    chosen = strongest(["Basic realm=x", header("AKAv1-MD5"), header("MD5"), header("SHA-256")])
    assert chosen is not None
    assert chosen.algorithm == "SHA-256"
    assert strongest(["Basic realm=x"]) is None
