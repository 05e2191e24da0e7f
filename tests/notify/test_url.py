"""Which URLs an endpoint may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.url import check_url, target_of

REFUSED = {
    "": "must begin with https://",
    "hooks.test/x": "must begin with https://",
    "//hooks.test/x": "must begin with https://",
    "ftp://hooks.test/": "must begin with https://, not with 'ftp'",
    "file:///etc/passwd": "must begin with https://",
    "gopher://127.0.0.1:6379/_x": "must begin with https://",
    "http://hooks.test/": "over http:// anyone",
    "https://": "no host",
    "https:///x": "no host",
    "https:hooks.test": "no host",
    "https://user@hooks.test/": "user name",
    "https://user:word@hooks.test/": "user name",
    "https://127.0.0.1\\@hooks.test/": "user name",
    "https://hooks.test/#": "fragment",
    "https://hooks.test/#part": "fragment",
    "https://hooks.test:0/": "no port 0",
    "https://hooks.test:65536/": "no port 65536",
    "https://hooks.test:-1/": "no port -1",
    "https://hooks.test:http/": "cannot be read",
    "https://hooks.test/\nx": "control characters",
    "https://hooks.test/\x00": "control characters",
    "https://hooks.test/\u202e": "control characters",
    " https://hooks.test/": "blanks",
    "https://hooks.test/a b": "blanks",
    "https://hooks..test/": "not a host name",
    "https://.test/": "not a host name",
    "https://-a.test/": "not a host name",
    "https://a%00b.test/": "not a host name",
    "https://hooks.test\\x": "not a host name",
    "https://" + "a" * 64 + ".test/": "not a host name",
    "https://" + "a." * 127 + "test/": "not a host name",
    "https://0177.0.0.1/": "cannot be read",
    "https://[1]/": "cannot be read",
    "https://[fe80::1%25eth0]/": "zone",
    "https://hooks.test/" + "a" * 2030: "more than 2,048 characters",
}


@pytest.mark.parametrize(("url", "why"), REFUSED.items())
def test_what_cannot_be_an_endpoint_is_refused_with_its_reason(url: str, why: str) -> None:
    reason = check_url(url)
    assert reason is not None
    assert why in reason


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.test",
        "HTTPS://Hooks.Test:8443/a/b?c=d&e=%20",
        "https://hooks.test./x",
        "https://a_b.hooks.test/",
        "https://bücher.test/ä?q=ü",
        "https://93.184.216.34/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://hooks.test/" + "a" * 2029,
    ],
)
def test_what_can_be_an_endpoint_is_not_refused(url: str) -> None:
    assert check_url(url) is None


def test_plain_http_is_for_those_who_allow_it() -> None:
    assert check_url("http://hooks.test/", allow_plain=True) is None
    assert check_url("ftp://hooks.test/", allow_plain=True) is not None


@pytest.mark.parametrize(
    ("url", "host", "header"),
    [
        ("https://Hooks.Test/", "hooks.test", b"hooks.test"),
        ("https://hooks.test:443/", "hooks.test", b"hooks.test"),
        ("https://hooks.test:8443/", "hooks.test", b"hooks.test:8443"),
        ("https://[::ffff:7f00:1]:8443/", "::ffff:7f00:1", b"[::ffff:7f00:1]:8443"),
        ("https://bücher.test/", "xn--bcher-kva.test", b"xn--bcher-kva.test"),
        ("https://127。0。0。1/", "127.0.0.1", b"127.0.0.1"),
    ],
)
def test_who_is_resolved_is_who_is_named_in_the_request(url: str, host: str, header: bytes) -> None:
    target = target_of(url)
    assert (target.origin.host, target.host_header) == (host, header)


@given(st.text(max_size=40).map("https://{}".format) | st.text(max_size=40))
def test_any_text_is_judged(text: str) -> None:
    check_url(text, allow_plain=True)
