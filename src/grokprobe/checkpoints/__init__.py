"""Checkpoints of any origin found, read without executing anything in them, and put in order."""

from grokprobe.checkpoints.discovery import discover
from grokprobe.checkpoints.layout import Layout
from grokprobe.checkpoints.plugin_readers import CheckpointReader
from grokprobe.checkpoints.reading import CheckpointContent, Reading, read_checkpoint
from grokprobe.checkpoints.runs import CheckpointRef, Discovery, Run, SkippedFile

__all__ = [
    "CheckpointContent",
    "CheckpointReader",
    "CheckpointRef",
    "Discovery",
    "Layout",
    "Reading",
    "Run",
    "SkippedFile",
    "discover",
    "read_checkpoint",
]
