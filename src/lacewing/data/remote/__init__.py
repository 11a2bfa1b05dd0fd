"""Tar shards on a server: their images are read from there, and nothing is copied to the disk.

`address` takes apart what stands after `--data`, `server` asks for parts of files, and `stand_in`
keeps a small file for each shard, in whose place its path may stand wherever a shard's may.
"""
