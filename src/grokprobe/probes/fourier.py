"""The ``fourier`` probe: how concentrated each neuron's weights are in frequency."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from grokprobe import names
from grokprobe.interfaces import Applicability, Context, PeriodicAxis, Requirement, Subject
from grokprobe.numerics.fourier import Basis, Concentration, compute_concentration
from grokprobe.numerics.layers import layer_label
from grokprobe.numerics.periodicity import Halves, signals_along, split_into_layers
from grokprobe.probes.fourier_variables import FOURIER_VARIABLES, SPECTRUM
from grokprobe.probes.periodic_axes import PeriodicSelection, select_periodic_axes
from grokprobe.variables import Coordinate, Measurement, VariableSpec


class FourierOptions(BaseModel):
    """Options of the ``fourier`` probe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: Modes that share the power: conjugate pairs folded, complex exponentials, or cos and sin.
    basis: Basis = "rfft"
    #: Whether the constant mode counts.
    dc: Literal["keep", "drop"] = "keep"
    #: An axis of length 2p: two layers ``_a`` and ``_b``, one layer of added powers, or one transform of length 2p.
    halves: Halves = "separate"
    #: A neuron is dead if its norm is at most this times the largest norm of its layer.
    dead_threshold: float = Field(default=1e-3, ge=0, lt=1)
    #: Number of group elements p; None for the task's.
    period: int | None = Field(default=None, ge=2)
    #: Parameter → its periodic axis, beside those that are found.
    axes: dict[str, int] = {}
    #: Whether to store the power spectrum of every neuron.
    spectrum: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    label: str
    concentration: Concentration


class FourierProbe:
    """Transforms every neuron's weights along the group and says how concentrated its power is.

    A neuron that has learned modular addition uses one frequency. Dimensions: ``layer``, one per weight tensor (or half
    of it) in the order of the file; ``neuron``, all neurons of all layers one after the other.

    A weight that is not finite makes its neuron undefined (NaN) but not dead.

    Reference:
        arXiv 2502.01739, Eq. 4 and 7.
    """

    name = "fourier"
    version = "1"
    requires = frozenset({Requirement.WEIGHTS})
    is_cheap = True
    options: type[BaseModel] = FourierOptions
    variants: Mapping[str, Mapping[str, Any]] = {"fft": {"basis": "fft"}, "sincos": {"basis": "sincos"}}

    def applies(self, subject: Subject, options: FourierOptions) -> Applicability:
        """Says whether a periodic axis is known or found, and which tensors are left out."""
        selection = _select(subject, options)
        return Applicability(reason=selection.reason, notices=selection.notices)

    def variables(self, options: FourierOptions) -> tuple[VariableSpec, ...]:
        """Returns the specifications; ``spectrum`` on request."""
        return (*FOURIER_VARIABLES, SPECTRUM) if options.spectrum else FOURIER_VARIABLES

    def measure(self, context: Context) -> Measurement:
        """Measures one checkpoint."""
        options: FourierOptions = context.options
        axes = _select(context.subject, options).axes
        layers = [layer for axis in axes for layer in _layers_of(context, axis, options)]
        parts = [layer.concentration for layer in layers]
        values = {
            "ipr": _flat([part.ipr for part in parts]),
            "dominant_frequency": _flat([part.dominant_frequency for part in parts]),
            "power_fraction": _flat([part.power_fraction for part in parts]),
            "ipr_mean": _flat([part.ipr.nanmean().reshape(1) for part in parts]),  # of no live neuron: NaN
            "dead_fraction": _flat([part.is_dead.to(torch.float64).mean().reshape(1) for part in parts]),
        }
        coordinates = _coordinates(layers)
        if options.spectrum:
            values["spectrum"] = _padded([part.spectrum for part in parts])
            coordinates[names.FREQUENCY] = _frequency_coordinate(values["spectrum"].shape[1], options)
        return Measurement(values=values, coordinates=coordinates)


def _select(subject: Subject, options: FourierOptions) -> PeriodicSelection:
    return select_periodic_axes(subject, options.period, options.axes)


def _layers_of(context: Context, axis: PeriodicAxis, options: FourierOptions) -> list[_Layer]:
    signals = signals_along(context.parameters[axis.parameter], axis.axis)
    parts = split_into_layers(signals, axis.period, options.halves)
    label = layer_label(axis.parameter, context.subject.shapes)
    labels = [label] if len(parts) == 1 else [f"{label}_a", f"{label}_b"]
    return [
        _Layer(
            label=label,
            concentration=compute_concentration(
                part,
                basis=options.basis,
                keep_dc=options.dc == "keep",
                dead_threshold=options.dead_threshold,
                needs_spectrum=options.spectrum,
            ),
        )
        for label, part in zip(labels, parts, strict=True)
    ]


def _coordinates(layers: list[_Layer]) -> dict[str, Coordinate]:
    labels = np.array([layer.label for layer in layers])
    num_neurons = [len(layer.concentration.ipr) for layer in layers]
    return {
        names.LAYER: Coordinate(
            dim=names.LAYER, values=labels, description="weight tensor, with _a or _b for the half of its inputs"
        ),
        names.NEURON_LAYER: Coordinate(
            dim=names.NEURON, values=np.repeat(labels, num_neurons), description="layer of the neuron"
        ),
        names.NEURON_INDEX: Coordinate(
            dim=names.NEURON,
            values=np.concatenate([np.arange(count) for count in num_neurons]),
            description="index within the layer: the axes that are not periodic, flattened in C order",
        ),
    }


def _frequency_coordinate(num_modes: int, options: FourierOptions) -> Coordinate:
    group = "two groups, one after the other" if options.halves == "rollout" else "group"
    modes = "complex exponential" if options.basis == "fft" else "frequency"
    return Coordinate(
        dim=names.FREQUENCY,
        values=np.arange(num_modes),
        units="cycles",
        description=f"{modes}, in cycles per {group}; a layer with fewer modes has NaN beyond its last",
    )


def _flat(parts: list[torch.Tensor]) -> np.ndarray:
    return torch.cat(parts).cpu().numpy()


def _padded(spectra: list[torch.Tensor]) -> np.ndarray:
    num_modes = max(spectrum.shape[1] for spectrum in spectra)
    return _flat(
        [torch.nn.functional.pad(spectrum, (0, num_modes - spectrum.shape[1]), value=torch.nan) for spectrum in spectra]
    )
