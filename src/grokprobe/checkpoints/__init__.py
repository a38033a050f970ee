"""Checkpoints of any origin found, read without executing anything in them, and put in order."""

from grokprobe.checkpoints.discovery import discover
from grokprobe.checkpoints.layout import Layout
from grokprobe.checkpoints.reading import CheckpointContent, read_checkpoint
from grokprobe.checkpoints.runs import CheckpointRef, Discovery, Run, SkippedFile

__all__ = [
    "CheckpointContent",
    "CheckpointRef",
    "Discovery",
    "Layout",
    "Run",
    "SkippedFile",
    "discover",
    "read_checkpoint",
]
