"""Caps of sources: how many leads each may send in an hour, a day or in all."""
