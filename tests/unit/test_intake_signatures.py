"""Signatures of sources: every documented vector holds, every near miss is refused, in and outside the window."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hubspot.utils.signature import Signature as HubspotSdk
from standardwebhooks.webhooks import Webhook as StandardSdk
from svix.webhooks import Webhook as SvixSdk

from services.intake.body import ITEM_TOO_LARGE, MOST_ITEM_BYTES
from services.intake.sources import signatures
from services.intake.sources.signatures import OUTSIDE, UNSIGNED, Signed, verified
from services.intake.sources.source import Signature

BODY = b'{"a":"\\u00e9","n":1}'
SECRET, WHSEC = "s3cr3t", "whsec_Y2F1ZGFsLWV4YW1wbGUta2V5LTI0Ynl0"
NOW = datetime.fromtimestamp(1_700_000_000, UTC)
URL = "https://x.test/hooks/hubspot"
HEX = "784e0f05cdd1744832df4b25f259f7a04cbcab8db1d3a24f2f07feb95a95726b"


@dataclass(frozen=True)
class Vector:
    """A request that its scheme accepts; `signed` names the header that holds the signature."""

    scheme: Any
    signed: str
    headers: Mapping[str, str]
    secret: str = SECRET
    body: bytes = BODY
    timed: bool = False

    def check(self, secrets: tuple[str, ...] | None = None, now: datetime = NOW, **changes: Any) -> Any:
        request = Signed("POST", URL, self.headers, self.body)
        return verified(Signature(scheme=self.scheme), replace(request, **changes), secrets or (self.secret,), now)

    def resigned(self, value: str) -> Any:
        return self.check(headers={**self.headers, self.signed: value})


VECTORS = {
    "meta": Vector("meta", "x-hub-signature-256", {
        "x-hub-signature-256": "sha256=6dcdccb98071255633eca3890f6c53af8f2e7f268124b9b850a2f033706ef88a"}),
    "typeform": Vector("typeform", "typeform-signature", {
        "typeform-signature": "sha256=bc3MuYBxJVYz7KOJD2xTr48ufyaBJLm4UKLwM3Bu+Io="}),
    "linkedin": Vector("linkedin", "x-li-signature", {
        "x-li-signature": "60a23d9723c920f9ab08aa90b9ce6d57132b42bdc12a1a7f4779f7a97b8cd19d"}),
    "calendly": Vector("calendly", "calendly-webhook-signature", {
        "calendly-webhook-signature": f"t=1700000000,v1={HEX}"}, timed=True),
    "tiktok": Vector("tiktok", "tiktok-signature", {"tiktok-signature": f"t=1700000000,s={HEX}"}, timed=True),
    "hubspot-v3": Vector("hubspot", "x-hubspot-signature-v3", {
        "x-hubspot-signature-v3": "k7WGqYLv8XecngNeZmwesAuKNEeOdfx8dKBgpsz4OGc=",
        "x-hubspot-request-timestamp": "1700000000000"}, timed=True),
    "hubspot-v1": Vector("hubspot", "x-hubspot-signature", {
        "x-hubspot-signature-version": "v1",
        "x-hubspot-signature": "268c8bf70d9d2e7fd51a45aee2b3c4cde7a715e40d78469c7bbb66b9933af1b2"}),
    "hubspot-v2": Vector("hubspot", "x-hubspot-signature", {
        "x-hubspot-signature-version": "v2",
        "x-hubspot-signature": "b31922bc90f6ff5140327d78f91067499f8c9f35cdf2da84b12c79298d979cc0"}),
    "standard-webhooks": Vector("standard-webhooks", "webhook-signature", {
        "webhook-id": "msg_0001", "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,ak+G1bDz78WR3sL0k2pMSxvFK54eG5TeuBFLp6Fxzw4="}, WHSEC, timed=True),
}  # fmt: skip
TIMED = {name: vector for name, vector in VECTORS.items() if vector.timed}
each_timed = pytest.mark.parametrize("vector", TIMED.values(), ids=TIMED)
each = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)


def start_of(value: str) -> str:
    """What stands before the signature itself."""
    for mark in ("sha256=", "v1=", "s=", "v1,"):
        if mark in value:
            return value[: value.rindex(mark) + len(mark)]
    return ""


@each
def test_the_documented_vector_holds(vector: Vector) -> None:
    assert vector.check() is None


@each
def test_near_misses_are_refused(vector: Vector) -> None:
    value = vector.headers[vector.signed]
    start = start_of(value)
    made = value.removeprefix(start)
    is_hex = len(made) == 64
    digest = bytes.fromhex(made) if is_hex else base64.b64decode(made)
    other = base64.b64encode(digest).decode() if is_hex else digest.hex()
    flipped = ("0" if made[0] != "0" else "1") + made[1:]
    bad = [flipped, other, made[:-1], made[:-4], made.swapcase(), ""]
    wrong = ["", f"{value}\n{value}", *(start + one for one in bad)]
    if start:
        wrong += [made, start + value]
    assert [vector.resigned(one) for one in wrong] == [UNSIGNED] * len(wrong)
    without = {name: value for name, value in vector.headers.items() if name != vector.signed}
    assert vector.check(headers=without) is UNSIGNED


@each
def test_a_body_written_anew_is_refused(vector: Vector) -> None:
    for body in (b'{"a": "\\u00e9","n":1}', '{"a":"é","n":1}'.encode(), BODY + b"\n", b""):
        assert vector.check(body=body) is UNSIGNED


@each
def test_another_secret_is_refused_and_either_of_two_is_enough(vector: Vector) -> None:
    other = "whsec_" + base64.b64encode(b"another").decode()
    assert vector.check(secrets=(other,)) is UNSIGNED
    assert vector.check(secrets=(other, vector.secret)) is None
    assert vector.check(secrets=(vector.secret, other)) is None
    assert verified(Signature(scheme=vector.scheme), Signed("POST", URL, vector.headers, BODY), (), NOW) is UNSIGNED


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS.values() if v.timed], ids=[n for n, v in VECTORS.items() if v.timed]
)
def test_a_time_outside_the_window_is_refused_in_the_past_and_in_the_future(vector: Vector) -> None:
    for seconds, refusal in ((300, None), (-300, None), (301, OUTSIDE), (-301, OUTSIDE)):
        assert vector.check(now=datetime.fromtimestamp(1_700_000_000 + seconds, UTC)) == refusal


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS.values() if v.timed], ids=[n for n, v in VECTORS.items() if v.timed]
)
def test_another_time_breaks_the_signature(vector: Vector) -> None:
    headers = {name: value.replace("1700000000", "1700000001") for name, value in vector.headers.items()}
    assert vector.check(headers=headers) is UNSIGNED
    headers = {name: value.replace("1700000000", "17e8") for name, value in vector.headers.items()}
    assert vector.check(headers=headers) is UNSIGNED


def test_hubspot_signs_the_address_and_the_method() -> None:
    for name in ("hubspot-v3", "hubspot-v2"):
        assert VECTORS[name].check(url=URL + "?a=1") is UNSIGNED
        assert VECTORS[name].check(method="PUT") is UNSIGNED


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_what_hubspots_own_sdk_signs_is_accepted(version: str) -> None:
    made = HubspotSdk.get_signature(
        client_secret=SECRET, request_body=BODY.decode(), signature_version=version, http_uri=URL, http_method="POST",
        timestamp="1700000000000",
    )  # fmt: skip
    headers = (
        {"x-hubspot-signature-v3": made, "x-hubspot-request-timestamp": "1700000000000"}
        if version == "v3"
        else {"x-hubspot-signature": made, "x-hubspot-signature-version": version}
    )
    assert VECTORS["hubspot-v3"].check(headers=headers) is None


@pytest.mark.parametrize(("sdk", "prefix"), [(StandardSdk, "webhook"), (SvixSdk, "svix")])
def test_what_the_standard_webhooks_sdks_sign_is_accepted(sdk: Any, prefix: str) -> None:
    made = sdk(WHSEC).sign("msg_2", NOW, BODY.decode())
    headers = {f"{prefix}-id": "msg_2", f"{prefix}-timestamp": "1700000000", f"{prefix}-signature": made}
    assert VECTORS["standard-webhooks"].check(headers=headers) is None
    assert VECTORS["standard-webhooks"].check(headers=headers, body=b"{}") is UNSIGNED


def test_the_good_signature_may_stand_second_in_the_list_but_not_in_ten_thousand() -> None:
    vector = VECTORS["standard-webhooks"]
    good = vector.headers["webhook-signature"]
    assert vector.resigned(f"v1,AAAA {good}") is None
    assert vector.resigned("v1,AAAA " * 10_000 + good) is UNSIGNED


def test_an_id_with_a_dot_is_refused_because_it_could_hold_another_time() -> None:
    content = b"msg.1600000000.1700000000." + BODY
    made = "v1," + base64.b64encode(hmac.digest(base64.b64decode(WHSEC[6:]), content, hashlib.sha256)).decode()
    vector = VECTORS["standard-webhooks"]
    old = {"webhook-id": "msg", "webhook-timestamp": "1600000000", "webhook-signature": made}
    renewed = {**old, "webhook-id": "msg.1600000000", "webhook-timestamp": "1700000000"}
    assert vector.check(headers=old, body=b"1700000000." + BODY) is OUTSIDE
    assert vector.check(headers=renewed) is UNSIGNED


def test_a_public_key_verifies_v1a() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    made = base64.b64encode(private.sign(b"msg_0001.1700000000." + BODY)).decode()
    vector = replace(VECTORS["standard-webhooks"], secret="whpk_" + base64.b64encode(public).decode())
    assert vector.resigned(f"v1a,{made}") is None
    assert vector.resigned(f"v1,{made}") is UNSIGNED
    assert vector.resigned("v1a,AAAA") is UNSIGNED


@dataclass(frozen=True)
class InBody:
    """A key that stands in the body itself."""

    signature: Signature = field(default_factory=lambda: Signature(scheme="body-field", field="google_key"))

    def check(self, body: bytes) -> Any:
        return verified(self.signature, Signed("POST", URL, {}, body), (SECRET,), NOW)


def test_a_key_in_the_body_is_compared_whole_whatever_the_case_of_its_name() -> None:
    assert InBody().check(b'{"google_key": "s3cr3t"}') is None
    assert InBody().check(b'{"Google_key": "s3cr3t"}') is None
    wrong = [
        b'{"google_key": "s3cr3"}', b'{"google_key": "S3CR3T"}', b'{"google_key": null}', b'{"google_key": ["s3cr3t"]}',
        b'{"google_key": "s3cr3t", "google_key": "other"}', b"{}", b"[]", b"x", b"",
    ]  # fmt: skip
    for body in wrong:
        assert InBody().check(body) is UNSIGNED


def test_mailgun_signs_its_time_and_token_in_the_body() -> None:
    made = hmac.digest(SECRET.encode(), b"1700000000abc", "sha256").hex()
    body = b'{"signature": {"timestamp": "1700000000", "token": "abc", "signature": "%s"}}' % made.encode()
    mailgun = Vector("mailgun", "", {}, body=body)
    assert mailgun.check() is None
    assert mailgun.check(now=datetime.fromtimestamp(1_700_000_301, UTC)) is OUTSIDE
    assert mailgun.check(body=body.replace(b"abc", b"abd")) is UNSIGNED


def test_a_large_body_with_a_key_in_it_is_refused_unread_and_a_small_one_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[int] = []

    def counted(content_type: str, body: bytes) -> Any:
        reads.append(len(body))
        return read(content_type, body)

    read = signatures.read
    monkeypatch.setattr(signatures, "read", counted)
    for signature in (Signature(scheme="body-field", field="google_key"), Signature(scheme="mailgun")):
        large = Signed("POST", URL, {}, b'{"a": "%s"}' % (b"a" * MOST_ITEM_BYTES))
        assert verified(signature, large, (SECRET, "other"), NOW) is ITEM_TOO_LARGE
        assert reads == []
        assert verified(signature, replace(large, body=b"{}"), (SECRET, "other"), NOW) is UNSIGNED
        assert reads == [2]
        reads.clear()


@pytest.mark.parametrize("more", [b"", b"Content-Type: text/plain\r\n"])
def test_a_mail_with_files_is_proved_by_mailguns_fields_alone(more: bytes) -> None:
    made = hmac.digest(SECRET.encode(), b"1700000000abc", "sha256").hex()
    fields = {"timestamp": "1700000000", "token": "abc", "signature": made, "attachment-1": "x" * MOST_ITEM_BYTES}
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n'
    body = b"".join(part % (name.encode(), more, value.encode()) for name, value in fields.items()) + b"--b--\r\n"
    mailgun = Vector("mailgun", "", {"content-type": "multipart/form-data; boundary=b"}, body=body)
    assert mailgun.check() is None
    assert mailgun.check(body=body.replace(b"abc", b"abd")) is UNSIGNED
    assert mailgun.check(body=b"x" * (MOST_ITEM_BYTES + 1)) is UNSIGNED


def test_numbers_and_letters_that_are_none_are_refused() -> None:
    for value in (b"1" * 5000, b'"\\ud800"', b"1e999", b'"%s"' % (b"1" * 5000)):
        assert InBody().check(b'{"google_key": %s}' % value) is UNSIGNED
        assert Vector("mailgun", "", {}, body=b'{"timestamp": %s, "token": %s}' % (value, value)).check() is UNSIGNED
