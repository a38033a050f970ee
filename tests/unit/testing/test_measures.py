"""What every measure must have, tried on a probe."""

from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from grokprobe.interfaces import Applicability, Requirement
from grokprobe.testing import ConformanceError, check_probe
from unit.testing.miniature import MeanProbe, NoOptions, build_context


class LaxOptions(BaseModel):
    pass


class NeededOption(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    needed: int


class Nameless(MeanProbe):
    name = ""


class NumberedVersion(MeanProbe):
    version = 1


class RequiresWords(MeanProbe):
    requires = frozenset({"weights of gold"})


class RequiresList(MeanProbe):
    requires: ClassVar = [Requirement.WEIGHTS]


class CheapPerhaps(MeanProbe):
    is_cheap = None


class Lax(MeanProbe):
    options = LaxOptions


class WithoutDefault(MeanProbe):
    options = NeededOption


class AnswersNothing(MeanProbe):
    def applies(self, subject, options):
        return None


class Nowhere(MeanProbe):
    def applies(self, subject, options):
        return Applicability(reason="no such weights")


class Undecided(MeanProbe):
    count = 0

    def applies(self, subject, options):
        self.count += 1
        return Applicability(notices=(str(self.count),))


class NeedsTest(MeanProbe):
    requires = frozenset({Requirement.TEST_SPLIT})


@pytest.mark.parametrize(
    ("measure", "law"),
    [
        (Nameless, "name is a plain word"),
        (NumberedVersion, "version is a text"),
        (RequiresWords, "requires is a frozenset of Requirement"),
        (RequiresList, "requires is a frozenset of Requirement"),
        (CheapPerhaps, "is_cheap is True or False"),
        (Lax, "options is a strict pydantic model that forbids unknown keys: LaxOptions"),
        (WithoutDefault, "every option has a valid default: needed"),
        (AnswersNothing, "applies returns an Applicability: None"),
        (Undecided, "applies gives the same answer twice"),
        (Nowhere, "applies to the given context: no such weights"),
        (NeedsTest, "the context offers what the measure requires: missing test split"),
    ],
)
def test_broken_law_is_named(measure, law):
    with pytest.raises(ConformanceError, match=f"^{law}"):
        check_probe(measure(), build_context())


def test_options_of_another_measure_are_refused():
    with pytest.raises(ConformanceError, match=r"^options are an instance of the measure's model"):
        check_probe(MeanProbe(), build_context(), LaxOptions())
    check_probe(MeanProbe(), build_context(options=NoOptions()))
