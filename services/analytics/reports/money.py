"""Amounts of money, to the cent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """So many hundredths of a currency."""

    cents: int
    currency: str

    def __str__(self) -> str:
        sign, cents = "-" if self.cents < 0 else "", abs(self.cents)
        return f"{sign}{cents // 100}.{cents % 100:02d} {self.currency}".rstrip()
