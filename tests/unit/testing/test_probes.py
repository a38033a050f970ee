import dataclasses

import numpy as np
import pytest
import torch

from grokprobe.interfaces import Requirement, Samples
from grokprobe.testing import ConformanceError, check_probe
from grokprobe.variables import Coordinate
from unit.testing.miniature import MeanProbe, build_context

SAMPLES = Samples(inputs=torch.eye(3), targets=torch.arange(3))


class SetsToZero(MeanProbe):
    def measure(self, context):
        context.parameters["weight"].zero_()
        return super().measure(context)


class WritesAndRestores(MeanProbe):
    def measure(self, context):
        context.parameters["weight"].mul_(2).div_(2)
        return super().measure(context)


class Replaces(MeanProbe):
    def measure(self, context):
        context.parameters["weight"] = context.parameters["weight"].clone()
        return super().measure(context)


class Adds(MeanProbe):
    def measure(self, context):
        measurement = super().measure(context)
        context.parameters["more"] = torch.zeros(1)
        return measurement


class AsksForGradients(MeanProbe):
    def measure(self, context):
        context.parameters["weight"].requires_grad_()
        return super().measure(context)


class WritesToSamples(MeanProbe):
    requires = frozenset({Requirement.TEST_SPLIT})

    def measure(self, context):
        context.test.inputs.add_(1)
        return super().measure(context)


class UsesUndeclared(MeanProbe):
    def measure(self, context):
        assert len(context.test)
        return super().measure(context)


class Random(MeanProbe):
    def measure(self, context):
        measurement = super().measure(context)
        return dataclasses.replace(measurement, values={"mean": measurement.values["mean"] + torch.rand(1).item()})


class WrongShape(MeanProbe):
    def measure(self, context):
        return dataclasses.replace(super().measure(context), values={"mean": np.zeros(7)})


class LabelsByValue(MeanProbe):
    def measure(self, context):
        order = np.argsort(super().measure(context).values["mean"])
        largest = context.parameters["weight"].max().item()
        labels = Coordinate(dim="layer", values=order + largest)
        return dataclasses.replace(super().measure(context), coordinates={"layer": labels})


class MeasuresNothing(MeanProbe):
    def variables(self, options):
        return ()


class SameNames(MeanProbe):
    def variables(self, options):
        return super().variables(options) * 2


class Undocumented(MeanProbe):
    def variables(self, options):
        return (dataclasses.replace(super().variables(options)[0], description=" "),)


class ChangingVariables(MeanProbe):
    count = 0

    def variables(self, options):
        self.count += 1
        return (dataclasses.replace(super().variables(options)[0], units=str(self.count)),)


def test_conforming_probe_passes_and_its_measurement_is_returned():
    context = build_context()
    measurement = check_probe(MeanProbe(), context)
    assert measurement.values["mean"][1] == context.parameters["bias"].double().mean().item()


def test_undefined_values_are_equal_to_themselves():
    context = build_context()
    context.parameters["weight"][0, 0] = torch.nan
    assert np.isnan(check_probe(MeanProbe(), context).values["mean"][0])


@pytest.mark.parametrize(
    ("probe", "law"),
    [
        (SetsToZero, "does not modify the context: the values of weight changed"),
        (WritesAndRestores, "does not modify the context: weight was written to in place"),
        (Replaces, "does not modify the context: weight was replaced"),
        (Adds, r"does not modify the context: tensors \['more'\] came or went"),
        (AsksForGradients, "does not modify the context: requires_grad of weight changed"),
        (WritesToSamples, "does not modify the context: the values of inputs changed"),
        (UsesUndeclared, "requires declares what is used: TEST_SPLIT"),
        (Random, "same context, options and generator seed give an equal result"),
        (WrongShape, "values agree with their specifications: variable 'mean'"),
        (LabelsByValue, "coordinates depend on subject and options alone"),
        (MeasuresNothing, "a probe measures at least one variable"),
        (SameNames, "variables have different names: mean, mean"),
        (Undocumented, "every variable has a description and a reference: mean"),
        (ChangingVariables, "variables depend on the options alone"),
    ],
)
def test_broken_law_is_named(probe, law):
    samples = Samples(inputs=SAMPLES.inputs.clone(), targets=SAMPLES.targets)
    with pytest.raises(ConformanceError, match=f"^{law}"):
        check_probe(probe(), build_context(test_samples=samples))
