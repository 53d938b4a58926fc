"""Latency, throughput, memory and size of a model in each format that it can be deployed in."""
