"""Figures on a temporary installation of their own, everything on this machine."""
