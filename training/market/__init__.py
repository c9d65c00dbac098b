"""Measured models as games: a report on a market."""
