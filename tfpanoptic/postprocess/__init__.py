"""Outputs -> panoptic segments, in graph: batched, fixed shapes, LiteRT built-in ops only."""
