"""What the ``steps`` probe stores."""

from typing import Final

from grokprobe import names
from grokprobe.numerics.steps import Relative
from grokprobe.variables import VariableSpec

_AUTHORS: Final = "code of arXiv 2502.01739"
_TENSORS: Final = "tensors with at least two axes, with biases=true all"
_ROUNDING: Final = "a step is rounding if its norm is at most that of the layer times the relative rounding of its type"

#: Variable of one layer → its definition.
_COSINES: Final = {
    "previous_cosine": (
        "Cosine between the parameters of this checkpoint and of the one before it; NaN at the first checkpoint, and"
        " where one of them is all zero or not finite"
    ),
    "initial_cosine": (
        "Cosine between the parameters of this checkpoint and of the run's first one; NaN where one of them is all zero"
        " or not finite"
    ),
    "step_cosine": (
        "Cosine between the step from the checkpoint before to this one and the step from this one to the next, in the"
        f" Euclidean metric; NaN at both ends of the run and where a step is rounding or not finite ({_ROUNDING})"
    ),
}

_CHANGES: Final[dict[Relative, str]] = {
    "decile": "sum |w - v| / sum |v| over the decile; NaN where all v are zero",
    "weight": "mean of (w - v) / (|v| + 1e-8) over the decile, with its sign",
}


def steps_variables(relative: Relative) -> tuple[VariableSpec, ...]:
    """Returns the specifications, each for the layers and for the whole network.

    Args:
        relative: what the changes of weights are relative to.
    """
    return tuple(
        spec for of_network in (False, True) for spec in (*_cosines(of_network), _changes(of_network, relative))
    )


def _cosines(of_network: bool) -> tuple[VariableSpec, ...]:
    return tuple(
        VariableSpec(
            name=_name(name, of_network),
            dims=() if of_network else (names.LAYER,),
            bounds=(-1, 1),
            description=f"{definition}; {_extent(of_network)}.",
            reference=_AUTHORS,
            headline=of_network and name == "step_cosine",
        )
        for name, definition in _COSINES.items()
    )


def _changes(of_network: bool, relative: Relative) -> VariableSpec:
    return VariableSpec(
        name=_name("decile_change", of_network),
        dims=(names.DECILE,) if of_network else (names.LAYER, names.DECILE),
        bounds=(0, None) if relative == "decile" else (None, None),
        description=(
            "Relative change of the weights from the values v of the checkpoint before to the values w of this one, by"
            f" the decile of |w|: {_CHANGES[relative]}; NaN at the first checkpoint, and for a decile without weights;"
            f" {_extent(of_network)}."
        ),
        reference=_AUTHORS,
    )


def _name(name: str, of_network: bool) -> str:
    return f"network_{name}" if of_network else name


def _extent(of_network: bool) -> str:
    return f"of all layers as one vector ({_TENSORS})" if of_network else f"of each layer ({_TENSORS})"
