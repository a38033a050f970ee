"""The built-in compressors, and what the core makes of any compressor."""

from grokprobe.compressors.fisher import FisherCompressor
from grokprobe.compressors.low_rank import LowRankCompressor
from grokprobe.compressors.magnitude import MagnitudeCompressor
from grokprobe.compressors.quantize import QuantizeCompressor
from grokprobe.compressors.random import RandomCompressor
from grokprobe.hookspecs import hookimpl
from grokprobe.interfaces import Compressor


@hookimpl
def grokprobe_compressors() -> tuple[Compressor, ...]:
    """Returns the built-in compressors."""
    return (FisherCompressor(), LowRankCompressor(), MagnitudeCompressor(), QuantizeCompressor(), RandomCompressor())
