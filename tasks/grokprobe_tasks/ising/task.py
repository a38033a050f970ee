"""Telling ordered from disordered snapshots of the two-dimensional Ising model.

Reference: Manning-Coe et al., *Grokking vs. Learning: Same Features, Different Encodings*, arXiv 2502.01739.
"""

import random
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar

import torch
from pydantic import BaseModel
from torch import nn

from grokprobe.errors import UsageError
from grokprobe.interfaces import Likelihood, PeriodicAxis, Samples, Split
from grokprobe.progress import Progress, SilentProgress
from grokprobe_tasks.ising.lattice import compute_energy, compute_magnetization
from grokprobe_tasks.ising.network import ConvNetwork
from grokprobe_tasks.ising.options import IsingModelOptions, IsingOptions
from grokprobe_tasks.ising.snapshots import load_snapshots, phase_labels
from grokprobe_tasks.ising.stacked import StackedConvNetwork


class Ising:
    """Classify snapshots of spins ±1 by their temperature: ordered (0) below T_c, disordered (1) above.

    Snapshots are taken a fixed number of updates after a quench from infinite temperature, so that some cold ones still
    hold extended domain walls: their energy is low and their magnetization small, which makes the energy and not the
    magnetization the feature that separates the phases. About a tenth of the snapshots are critical and cannot be
    told apart, so the test accuracy saturates near 0.95, and a train accuracy near 1 means memorisation.

    The loss is the mean cross entropy of the two classes, natural logarithm.

    Reference: Manning-Coe et al., arXiv 2502.01739, section 2 and appendix A.
    """

    name: ClassVar[str] = "ising"
    version: ClassVar[str] = "1"
    task_options: ClassVar[type[BaseModel]] = IsingOptions
    model_options: ClassVar[type[BaseModel]] = IsingModelOptions
    recipes: ClassVar[Mapping[str, str]] = {
        name: files("grokprobe_tasks.ising").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
        for name in ("paper", "grokking", "steady")
    }
    default_recipe: ClassVar[str] = "paper"

    def __init__(self, options: Any, model_options: Any) -> None:
        self._options: IsingOptions = options
        self._model_options: IsingModelOptions = model_options

    @property
    def likelihood(self) -> Likelihood:
        """Outputs are logits of the two phases."""
        return Likelihood.CATEGORICAL

    @property
    def chance_accuracy(self) -> float:
        """1/2: half of the temperatures are below T_c."""
        return 0.5

    @property
    def period(self) -> None:
        """None: no axis of a weight runs over a cyclic group."""
        return

    def periodic_axes(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[PeriodicAxis, ...]:  # noqa: ARG002 - none
        """Returns nothing."""
        return ()

    def build_model(self) -> ConvNetwork:
        """Returns the network, with 6798 parameters at the default options."""
        options = self._model_options
        return ConvNetwork(self._options.size, options.channels, options.hidden)

    def stacked_form(self) -> StackedConvNetwork:
        """Returns the network of many members as products of matrices."""
        return StackedConvNetwork(self._options.size, self._model_options.channels)

    def initialise(self, model: nn.Module, generator: torch.Generator) -> None:
        """Draws what PyTorch's own initialisation draws: weights and biases uniform in ±1/√fan_in.

        Layers are drawn in the order of the network, the weight before the bias. For a convolution fan_in is the
        number of input channels times that of the kernel's sites.
        """
        for layer in (module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)):
            bound = layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Energy E, magnetization M and |M|."""
        return ("energy", "magnetization", "abs_magnetization")

    def population(self, progress: Progress) -> Samples:
        """Returns every snapshot, the coldest first; those of a file in the order of the file.

        Inputs are float32 ±1 of shape (num_snapshots, 1, L, L), targets int64.
        """
        snapshots = load_snapshots(self._options, progress)
        return Samples(inputs=snapshots.spins.unsqueeze(1).float(), targets=snapshots.labels)

    def split(self, seed: int, generator: torch.Generator) -> Split:
        """Draws training and test snapshots.

        ``balanced``: half of the training and half of the test snapshots are ordered (of an odd number the larger
        half), as the paper says. ``shuffled``: the first ``num_test`` of a shuffled list of all snapshots are for
        testing and the next ``num_train`` for training, unbalanced; the list is shuffled by Python's ``random`` seeded
        with the seed, as in the authors' code, so that their data file gives their own split.

        Raises:
            UsageError: a snapshot file that holds too few snapshots.
        """
        options, labels = self._options, self._labels()
        _require(len(labels), options.num_train + options.num_test, "snapshots", options)
        if options.draw == "shuffled":
            order = list(range(len(labels)))
            random.Random(seed).shuffle(order)  # noqa: S311 - the published split is drawn with it
            indices = torch.tensor(order)
            return Split(
                train=indices[options.num_test : options.num_test + options.num_train],
                test=indices[: options.num_test],
            )
        order = torch.randperm(len(labels), generator=generator)
        train, test = [], []
        for label, phase in enumerate(("ordered", "disordered")):
            of_phase = order[labels[order] == label]
            num_train, num_test = ((number + 1 - label) // 2 for number in (options.num_train, options.num_test))
            _require(len(of_phase), num_train + num_test, f"{phase} snapshots", options)
            train.append(of_phase[:num_train])
            test.append(of_phase[num_train : num_train + num_test])
        mixed = torch.randperm(options.num_train, generator=generator)  # batches hold both phases
        return Split(train=torch.cat(train)[mixed], test=torch.cat(test))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the mean cross entropy in nats of class indices ``targets``."""
        return nn.functional.cross_entropy(outputs, targets)

    def num_correct(self, outputs: torch.Tensor, targets: torch.Tensor) -> int:
        """Returns for how many samples the larger logit, the first of equal ones, is the right phase's."""
        return int((outputs.argmax(dim=1) == targets).sum())

    def features(self, inputs: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Returns E = −Σ_<ij> σ_i σ_j (each bond once, periodic), M = Σ_i σ_i and |M| of each snapshot, float64."""
        spins = inputs.squeeze(1)
        magnetization = compute_magnetization(spins)
        values = (compute_energy(spins), magnetization, magnetization.abs())
        return dict(zip(self.feature_names, values, strict=True))

    def _labels(self) -> torch.Tensor:
        options = self._options
        if options.snapshot_file:
            return load_snapshots(options, SilentProgress()).labels
        return phase_labels(options)


def _require(found: int, expected: int, what: str, options: IsingOptions) -> None:
    if found < expected:
        where = options.snapshot_file or "the simulation"
        raise UsageError(
            f"expected at least {expected} {what} for task.num_train and task.num_test, found {found} in {where};"
            " lower them"
        )
