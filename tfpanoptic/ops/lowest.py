"""A float32 below every logit and every score, and finite."""

LOWEST = -1e30
