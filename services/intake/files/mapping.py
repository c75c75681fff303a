"""Which column means which field, how sure that is, and from what it was seen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process, utils

from schemas.events.outcomes import OutcomeReport
from services.intake import normalise
from services.intake.fields import FIELDS, canonical
from services.intake.files.faults import FileRefused
from services.intake.sources.source import Accepts

IGNORED = "-"
"""The target of a column that is left out."""
_SURE, _LIKELY = 100, 86  # in percent of likeness
_OTHERS: Mapping[str, Mapping[str, str]] = {
    "activities": {
        "activity": "actividad event evento accion", "subject": "asunto tema", "retracts": "", "email": "", "phone": "",
        "occurred_at": FIELDS["occurred_at"], "country": FIELDS["country"],
    },
    "consents": {
        "type": "tipo state estado", "channel": "canal", "purpose": "finalidad", "text": "texto", "reason": "motivo",
        "proof": "prueba", "email": "", "phone": "", "occurred_at": FIELDS["occurred_at"], "country": FIELDS["country"],
    },
    "outcomes": dict.fromkeys(OutcomeReport.model_fields, "") | {
        "type": "tipo resultado", "lead_id": "id_lead lead", "reason": "motivo", "occurred_at": FIELDS["occurred_at"],
    },
    "results": {
        "campaign": "campana campaign_name nombre_de_la_campana", "channel": "canal plataforma platform",
        "day": "fecha dia date", "impressions": "impresiones alcance reach", "clicks": "clics pulsaciones",
        "spend": "gasto coste costo cost importe amount_spent importe_gastado", "currency": "moneda divisa",
    },
}  # fmt: skip
_MORE = {
    "email": "direccion de correo;correo e;e-mail de contacto;email personal",
    "phone": "telefono de contacto;telefono movil;numero de telefono;movil de contacto;tlf;tfno;telf;tel movil",
    "name": "nombre y apellido;nombre del contacto;persona de contacto;contacto;cliente;asistente",
    "family_name": "primer apellido;apellido 1", "given_name": "first;nombre pila",
    "company": "nombre de la empresa;nombre empresa;compania;sociedad", "job_title": "cargo en la empresa;profesion",
    "street": "direccion postal;domicilio social", "postcode": "c p;cod postal;codigo", "city": "ciudad de residencia",
    "message": "observaciones;notas;texto;comentarios adicionales", "product": "producto de interes;modelo de interes",
    "consent": "acepta publicidad;acepta comunicaciones;acepta comunicaciones comerciales;acepta recibir informacion;"
    "acepta recibir publicidad;acepta recibir comunicaciones;quiere recibir informacion;autoriza publicidad;"
    "autoriza comunicaciones;consentimiento comercial;accepts marketing;email opt in;lopd;rgpd",
    "occurred_at": "fecha de alta;fecha hora;date;fecha y hora",
    "country": "pais de residencia", "budget": "importe;presupuesto estimado", "language": "idioma preferido",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mapped:
    """One column: the field that it fills (None: kept as an answer), how sure in percent, and why."""

    column: str
    field: str | None
    confidence: int
    why: str


def suggest(
    columns: Sequence[str], sample: Sequence[tuple[str, ...]], what: Accepts, given: Mapping[str, str],
    source_fields: Mapping[str, str], region: str | None,
) -> tuple[Mapped, ...]:  # fmt: skip
    """What each column means: as given, as the source's book says, by its name, by a likeness, by its values."""
    known = _names(what)
    found: list[Mapped] = []
    for place, column in enumerate(columns):
        mapped = _as_said(column, given, source_fields) or _by_name(column, what, known)
        if mapped.field is None:
            values = _by_values(column, [row[place] for row in sample if place < len(row)], region)
            mapped = values if values and values.field not in {m.field for m in found} else mapped
        found.append(mapped)
    return tuple(found)


def checked_targets(given: Mapping[str, str], columns: Iterable[str], what: Accepts) -> None:
    """Raises `FileRefused` where a `--map` names a column or a field that does not exist."""
    columns = list(columns)
    known = set(FIELDS if what == "leads" else _OTHERS[what]) | {IGNORED}
    for column, target in given.items():
        if column not in columns:
            raise FileRefused(f"no column {column!r} in the file; it has {', '.join(columns[:40])}")
        if target not in known:
            raise FileRefused(f"no field {target!r}; the fields are {', '.join(sorted(known))}")


def targets(what: Accepts) -> frozenset[str]:
    """Fields that a column may fill."""
    return frozenset(FIELDS if what == "leads" else _OTHERS[what])


def _names(what: Accepts) -> dict[str, str]:
    """Every name by which a field is known, plain, with its field."""
    fields = FIELDS if what == "leads" else _OTHERS[what]
    names = {_plain(other): ours for ours, others in fields.items() for other in (ours, *others.split())}
    more = {_plain(other): ours for ours, others in _MORE.items() if ours in fields for other in others.split(";")}
    return more | names


def _as_said(column: str, given: Mapping[str, str], source_fields: Mapping[str, str]) -> Mapped | None:
    if column in given:
        return Mapped(column, given[column], _SURE, "--map")
    if column in source_fields:
        return Mapped(column, source_fields[column], _SURE, "the source's book")
    return None


def _by_name(column: str, what: Accepts, known: Mapping[str, str]) -> Mapped:
    """By our own names first, since the reader takes those in any case; else by the most alike of all names."""
    bare = re.sub(r" \(\d+\)$", "", column)
    ours = canonical(bare)
    if ours and ours in targets(what):
        return Mapped(column, ours, _SURE, "its name")
    plain = _plain(bare)
    if plain in known:
        return Mapped(column, known[plain], _SURE, "its name")
    best = process.extractOne(plain, list(known), scorer=fuzz.ratio, score_cutoff=_LIKELY) if len(plain) > 3 else None
    if best:
        return Mapped(column, known[best[0]], round(best[1]), f"like {best[0]!r}")
    return Mapped(column, None, 0, "kept as an answer")


def _by_values(column: str, values: Sequence[str], region: str | None) -> Mapped | None:
    """E-mail addresses and telephone numbers are known when seen; three in four of the column must be such."""
    filled = [value for value in values if value]
    if not filled:
        return None
    for field, is_one in (
        ("email", lambda v: normalise.email(v)[0] is not None),
        ("phone", lambda v: len(v) >= 9 and normalise.phone(v, region)[1] == "ok"),
    ):
        share = sum(map(is_one, filled)) * 100 // len(filled)
        if share >= 75:
            return Mapped(column, field, share, "its values")
    return None


def _plain(name: str) -> str:
    """A name without accents, case and marks."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return " ".join(utils.default_process(letters.replace("_", " ")).split())
