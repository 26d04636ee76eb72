"""Retry, fall-backs, hedging and circuit breakers, written once around the protocols of `base`."""
