"""Panoptic sets as TFRecord shards: written, read back, and read as other tools have written them.

`schema` says what a record of ours holds, `shard` writes one shard, `write` all of them on one machine, `beam` on many;
`manifest` says whether a folder is whole and `dataset` reads it. `scan` finds the records in shards of other tools,
`tools` knows what these mean, `tfds` where tensorflow-datasets keeps its own.
"""
