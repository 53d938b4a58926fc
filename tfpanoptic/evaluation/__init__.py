"""Scores of segment maps under the official rules."""
