"""Where calls may go: every way to the inside is closed, whatever it is written like."""

import re
from ipaddress import ip_address

import pytest

from services.intake.outside import Allow, Forbidden, Target, allowed, is_public, judged, target_of
from services.intake.settings import IntakeSettings

INSIDE = (
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.1.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:0:0:0:0:f5ff:fffe",
)  # fmt: skip
OUTSIDE = (
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4003::200e", "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)  # fmt: skip
BAD_URLS = {
    "file": "file:///etc/passwd", "gopher": "gopher://example.com/_x", "ftp": "ftp://example.com/", "no scheme": "//a",
    "javascript": "javascript:alert(1)", "nothing": "", "path": "/x", "no host": "https:///x",
    "credentials": "https://user:word@example.com/", "user": "https://user@example.com/",
    "host behind a host": "https://example.com@127.0.0.1/", "empty user": "https://@127.0.0.1/",
    "backslash": "https://example.com\\@127.0.0.1/", "space": "https://example.com/a b",
    "newline": "https://example.com/\r\nX: 1", "tab": "https://exam\tple.com/", "NUL": "https://example.com/\x00",
    "hexadecimal": "https://0x7f000001/", "octal": "https://0177.0.0.1/", "one number": "https://2130706433/",
    "short": "https://127.1/", "hexadecimal part": "https://127.0.0.0x1/", "bare 0x": "https://a.0x/",
    "dotted number at the end": "https://127.0.0.1./", "zone": "https://[fe80::1%25eth0]/",
    "port 0": "https://example.com:0/", "port 65536": "https://example.com:65536/", "port x": "https://example.com:x/",
    "bracket": "https://[::1/", "space as percent": "https://exa%20mple.com/", "two dots": "https://a..example.com/",
    "254 letters": "https://" + "a." * 127 + "com/", "9,000 letters": "https://example.com/" + "a" * 9000,
    "unknown letters": "https://example.com/ñ", "label of hyphen nonsense": "https://" + "a" * 70 + ".com/",
}  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_inside(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("case", BAD_URLS)
def test_a_url_of_another_kind_is_no_way(case: str) -> None:
    assert isinstance(target_of(BAD_URLS[case]), Forbidden)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [("https://Graph.Example.com/v1/1?a=%20#x", Target(True, "graph.example.com", 443, "/v1/1?a=%20"),
      "graph.example.com"),
     ("https://example.com.:8443", Target(True, "example.com", 8443, "/"), "example.com:8443"),
     ("HTTP://[::1]:80/x", Target(False, "::1", 80, "/x"), "[::1]"),
     ("https://[::FFFF:127.0.0.1]/", Target(True, "::ffff:7f00:1", 443, "/"), "[::ffff:7f00:1]"),
     ("https://xn--ejmplo-9ta.test/", Target(True, "xn--ejmplo-9ta.test", 443, "/"), "xn--ejmplo-9ta.test"),
     ("http://8.8.8.8:443/", Target(False, "8.8.8.8", 443, "/"), "8.8.8.8:443")],
)  # fmt: skip
def test_the_way_that_a_url_names(url: str, target: Target, authority: str) -> None:
    found = target_of(url)
    assert found == target
    assert isinstance(found, Target)
    assert found.authority == authority


def verdict(url: str, addresses: str, allow: Allow | None = None) -> str | None:
    target = target_of(url)
    assert isinstance(target, Target)
    refusal = judged(target, tuple(map(ip_address, addresses.split())), allow or Allow())
    return refusal.why if refusal else None


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    assert verdict("https://a.test/", "8.8.8.8 2606:4700::1111") is None
    assert "not public" in (verdict("https://a.test/", "8.8.8.8 127.0.0.1") or "")


def test_http_is_for_what_is_allowed_only() -> None:
    assert "not https" in (verdict("http://a.test/", "8.8.8.8") or "")
    assert verdict("http://a.test/", "10.1.2.3", allowed("10.1.0.0/16")) is None
    assert "not https" in (verdict("http://a.test/", "10.1.2.3 8.8.8.8", allowed("10.1.0.0/16")) or "")
    assert verdict("http://a.test/", "8.8.8.8", allowed("a.test")) is None


@pytest.mark.parametrize(
    ("setting", "url", "fits"),
    [("a.test", "https://a.test:8443/", True), ("A.test:8443 ,", "https://a.test:8443/", True),
     ("a.test:8443", "https://a.test/", False), ("a.test", "https://b.a.test/", False),
     ("a.test", "https://a.test.b.test/", False), ("10.1.0.0/16", "https://x.test/", True),
     ("10.2.0.0/16", "https://x.test/", False), ("", "https://x.test/", False),
     ("fd00::/8, 10.1.0.0/16", "https://x.test/", True)],
)  # fmt: skip
def test_what_an_operator_allows_is_allowed_and_nothing_like_it(setting: str, url: str, fits: bool) -> None:
    assert (verdict(url, "10.1.2.3", allowed(setting)) is None) is fits


def test_an_allowed_ipv6_host_is_written_with_brackets() -> None:
    assert verdict("http://[::1]:8080/", "::1", allowed("[::1]:8080")) is None


@pytest.mark.parametrize("entry", ["10.1.0.1/16", "a.test:x", "https://a.test", "u@a.test", "a.test/x", "300.0.0.0/8"])
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"outbound_allow\n  Value error, {entry} is no host")):
        IntakeSettings(outbound_allow=f"b.test,{entry}")


@pytest.mark.parametrize("timeout_s", [30, 31])
def test_an_answer_may_not_be_waited_for_longer_than_its_lead_is_ours_alone(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="must be less than hydrate_lease_s"):
        IntakeSettings(hydrate_timeout_s=timeout_s, hydrate_lease_s=30)
