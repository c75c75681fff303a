"""Every protocol by the name that sources and presets use."""

from __future__ import annotations

from collections.abc import Mapping

from services.intake.sources import (
    adf_http,
    calendly,
    cloudevents,
    hubspot,
    hubspotform,
    linkedin,
    mailchimp,
    meta,
    plain,
    segment,
)
from services.intake.sources.protocol import Protocol

PROTOCOLS: Mapping[str, Protocol] = {
    "adf": Protocol(adf_http.unpack),
    "calendly": Protocol(calendly.unpack, unread=True),
    "cloudevents": Protocol(cloudevents.unpack),
    "hubspot": Protocol(hubspot.unpack, unread=True),
    "hubspot-form": Protocol(hubspotform.unpack, answer=hubspotform.answer),
    "linkedin": Protocol(linkedin.unpack, linkedin.handshake, unread=True),
    "mailchimp": Protocol(mailchimp.unpack, mailchimp.handshake, unread=True),
    "meta": Protocol(meta.unpack, meta.handshake, unread=True),
    "plain": Protocol(plain.unpack),
    "segment": Protocol(segment.unpack, answer=segment.answer, unread=True),
}
