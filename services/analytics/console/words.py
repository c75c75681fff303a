"""The console's words in English and Spanish, and figures as each writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from services.analytics.reports import render

LANGUAGES = ("en", "es")
POINTS = MappingProxyType({"en": {}, "es": str.maketrans(",.", ".,")})

_TABLE = """
live | Live | En directo
funnel | Funnel | Embudo
speed | Speed | Rapidez
submissions | Submissions | Solicitudes
deadletters | Dead letters | Fallidos
find | Find a lead | Buscar un lead
find_hint | Id, e-mail or phone | Id, e-mail o teléfono
search | Search | Buscar
connected | Live | En directo
reconnecting | Reconnecting… | Reconectando…
language | Español | English
intake | Intake | Entrada
qualify | Qualify | Cualificación
router | Router | Reparto
nurture | Nurture | Seguimiento
analytics | Analytics | Analítica
unit_intake | submissions per second | solicitudes por segundo
unit_qualify | decisions per second | decisiones por segundo
unit_router | assignments per second | asignaciones por segundo
unit_nurture | touches per second | contactos por segundo
unit_analytics | events per second | eventos por segundo
no_lag | answers at once | responde al momento
lag_none | nothing waiting | nada en espera
lag_some | waiting | en espera
lag_unknown | lag not known yet | espera aún desconocida
speed_title | Speed to lead | Rapidez hasta el comercial
speed_note | accepted at intake until a rep holds it | desde que entra hasta que lo tiene un comercial
median | half within | la mitad en
p99 | 99 % within | el 99 % en
window_recent | {n} leads in the last {span} | {n} leads en los últimos {span}
window_today | {n} leads since yesterday | {n} leads desde ayer
window_empty | no lead assigned yet | aún no hay leads asignados
today_title | Today | Hoy
today_note | submissions received since midnight UTC | solicitudes recibidas desde medianoche UTC
opened | opened a lead | abren un lead
attached | attached to one | se suman a uno
interest | interest only | solo interés
disqualified | set aside | descartadas
test | tests | pruebas
dead | dead letters | fallidas
erased | erased | borradas
on_the_way | on the way | en camino
received | received | recibidas
dead_title | Dead letters | Mensajes fallidos
dead_note | kept for repair, {n} waiting | guardados para reparar, {n} en espera
dead_none | No dead letters. Every record was understood. | Ningún fallido. Todo se ha entendido.
funnel_title | Funnel by source | Embudo por fuente
funnel_note | leads opened in the last 30 days | leads abiertos en los últimos 30 días
funnel_none | No leads yet. | Aún no hay leads.
latest_title | Latest leads | Últimos leads
latest_note | Open a row to read why. | Abre una fila para leer el porqué.
latest_paused | Paused while a row is open. | En pausa mientras haya una fila abierta.
latest_none | Waiting for the first lead. | A la espera del primer lead.
lead | Lead | Lead
source | Source | Fuente
owner | Owner | Comercial
owner_id | Owner id | Id del comercial
owner_name | Owner | Comercial
campaign | Campaign | Campaña
warmth | Warmth | Temperatura
origin_type | Origin | Origen
assigned_in | Assigned in | Asignado en
opened_at | Opened | Apertura
leads | Leads | Leads
assigned | Assigned | Asignados
accepted | Accepted | Aceptados
won | Won | Ganados
lost | Lost | Perdidos
returned | Returned | Devueltos
parked | Parked | Sin dueño
win_rate | Win rate | Tasa de éxito
revenue | Revenue | Ingresos
p50_ms | Median | Mediana
p90_ms | 90 % | 90 %
p99_ms | 99 % | 99 %
within_1_s | Within 1 s | En 1 s
within_5_min | Within 5 min | En 5 min
service | Service | Servicio
topic | Topic | Canal
reason | Reason | Motivo
waiting | Waiting | En espera
repaired | Repaired | Reparados
first_at | First | Primero
last_at | Last | Último
detail | Detail | Detalle
hot | hot | caliente
warm | warm | templado
cold | cold | frío
nobody | parked | sin dueño
pending | being assigned | asignándose
no_name | no name given | sin nombre
why | Why | Por qué
points | points | puntos
timeline | Full timeline | Historia completa
timeline_title | Timeline | Historia
rules | rules | reglas
published | as published | tal como se publicó
since | From | Desde
until | Until (not included) | Hasta (sin incluir)
by | By | Por
show | Show | Ver
download | Download | Descargar
no_rows | Nothing in this period. | Nada en este periodo.
not_found | Nothing found | No se ha encontrado
not_found_note | No lead has this id or address. | Ningún lead tiene este id o dirección.
several | Several leads | Varios leads
away | The database does not answer | La base de datos no responde
away_note | The services go on and nothing is lost; this page returns with it. | Los servicios siguen y nada se pierde.
bad_question | That cannot be answered | Eso no se puede responder
utc | UTC | UTC
state_assigned | assigned | asignado
state_parked | parked | sin dueño
state_withdrawn | withdrawn | retirado
state_closed | closed | cerrado
lead.received | Submission received | Solicitud recibida
lead.qualified | Lead opened | Lead abierto
lead.attached | Repeat enquiry attached | Nueva solicitud unida
lead.rescored | Scored again | Nueva puntuación
lead.disqualified | Set aside | Descartado
interest.noted | Interest noted | Interés anotado
lead.assigned | Assigned | Asignado
lead.reassigned | Reassigned | Reasignado
lead.updated | Updated for its owner | Actualizado
lead.offered | Offered | Ofrecido
lead.parked | Parked | Sin dueño
lead.withdrawn | Withdrawn | Retirado
lead.closed | Closed | Cerrado
lead.accepted | Accepted by the rep | Aceptado por el comercial
lead.stage_changed | Stage changed | Cambio de etapa
visit.planned | Visit planned | Visita prevista
visit.held | Visit held | Visita hecha
visit.cancelled | Visit cancelled | Visita anulada
lead.won | Won | Ganado
lead.lost | Lost | Perdido
lead.returned | Returned | Devuelto
order.placed | Order placed | Pedido hecho
touch.sent | Touch sent | Contacto enviado
touch.failed | Touch failed | Contacto fallido
touch.skipped | Touch skipped | Contacto omitido
enrolment.started | Sequence started | Secuencia iniciada
enrolment.ended | Sequence ended | Secuencia terminada
activity.recorded | Activity | Actividad
"""


def _words(column: int) -> Mapping[str, str]:
    lines = (line.split(" | ") for line in _TABLE.strip().splitlines())
    return MappingProxyType({parts[0]: parts[column] for parts in lines})


WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType({name: _words(i + 1) for i, name in enumerate(LANGUAGES)})


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language: `t(key)` gives its words, a key without words stands for itself."""

    lang: str

    def t(self, key: str, **values: object) -> str:
        """Words for a key, with their blanks filled."""
        return WORDS[self.lang].get(key, key).format(**values) if values else WORDS[self.lang].get(key, key)

    def number(self, value: float, digits: int = 0) -> str:
        """A figure with separators of thousands and so many decimals."""
        return render.figure(value, digits).translate(POINTS[self.lang])

    def duration(self, ms: float | None) -> str:
        """Milliseconds in a unit that suits them; a dash for unknown."""
        return "–" if ms is None else render.duration(ms, self.number)

    def cell(self, name: str, value: Any) -> str:
        """One value of a report."""
        return render.text(name, value, self.number)


def tongue(asked: str | None) -> Tongue:
    """The language asked for, else English."""
    return Tongue(asked if asked in LANGUAGES else LANGUAGES[0])
