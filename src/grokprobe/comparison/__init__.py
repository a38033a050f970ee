"""Two sets of runs side by side: their numbers, their settings, what only one has, and their figures."""

from grokprobe.comparison.comparison import Comparison, StoreComparison, compare
from grokprobe.comparison.numbers import NumberRow
from grokprobe.comparison.settings import SettingDifference
from grokprobe.comparison.sides import Side, parse_side

__all__ = ["Comparison", "NumberRow", "SettingDifference", "Side", "StoreComparison", "compare", "parse_side"]
