"""The file that holds a whole run, as the code of the paper's authors pickles it.

One object with every checkpoint of a run in its attribute ``models``, its settings, its data and its own log. The
checkpoint under key e was saved at the end of epoch e of the loop, counted from 0: it is the one after e + 1 epochs.
The initial parameters are not among them; they are those of the network that the object was made with, and for the
Ising model that network was kept before the weight multiplier was applied.

Reference: Manning-Coe et al., arXiv 2502.01739; github.com/xand-stapleton/grokking_vs_learning, ``data_objects.py``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from grokprobe.checkpoints.objects import ModuleState
from grokprobe.checkpoints.state_dict import as_position
from grokprobe.checkpoints.stored_tensors import AnyTensor
from grokprobe.errors import CorruptCheckpointError, NotACheckpointError

#: Name of the initial checkpoint within the file.
INITIAL: Final = "modelinstance.network"
#: Attributes by which such an object is known.
_MARKS: Final = frozenset({"models", "params_dic", "modelinstance", "data_seed"})
_LOGGED: Final = ("train_losses", "test_losses", "train_accuracies", "test_accuracies")
#: Attribute of ``modelconfig`` that tells the task, whose name is ours.
_TASKS: Final = {"P": "modular_addition", "input_dims": "ising"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobMember:
    """One checkpoint of a blob."""

    #: Epochs trained.
    epoch: int
    #: Its state dict.
    entries: Mapping[str, AnyTensor]
    #: What every parameter is multiplied by: the scale where it was kept before it was applied.
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A whole run in one file."""

    #: Name within the file → checkpoint, in order of epoch.
    members: Mapping[str, BlobMember]
    #: Its data_seed; None if it is no such number.
    seed: int | None
    #: Its weight multiplier; None if it is no such number.
    init_scale: float | None
    #: Tables ``task``, ``model``, ``optimizer`` and ``run``, as of a recipe.
    parameters: Mapping[str, Mapping[str, Any]]
    #: The run's own log: name → one value an epoch.
    logged: Mapping[str, list[float]]
    #: The object's attributes.
    attributes: Mapping[str, Any]
    #: What a user should know.
    remarks: tuple[str, ...]

    def member(self, name: str, path: Path) -> BlobMember:
        """Returns the checkpoint of that name.

        Raises:
            NotACheckpointError: there is none.
        """
        if name not in self.members:
            known = ", ".join(list(self.members)[:6])
            raise NotACheckpointError(f"{path}: expected a checkpoint {name!r} within the file, found {known}, …")
        return self.members[name]


def find_blob(content: Any, path: Path) -> Blob | None:
    """Returns the run that ``content`` of a pickle is; None if it is none.

    Args:
        content: from :func:`~grokprobe.checkpoints.objects.unpack`.
        path: the file, for messages.

    Raises:
        CorruptCheckpointError: such an object without a checkpoint.
    """
    if not isinstance(content, dict) or not content.keys() >= _MARKS or not isinstance(content["models"], dict):
        return None
    params = content["params_dic"] if isinstance(content["params_dic"], dict) else {}
    task = _find_task(content)
    scale = _as_scale(params.get("weight_multiplier"))
    members, remarks = _find_members(content, task, scale)
    if not members:
        raise CorruptCheckpointError(f"{path}: expected checkpoints under 'models' of a run's object, found none")
    logged = {name: values for name in _LOGGED if (values := _as_numbers(content.get(name)))}
    return Blob(
        members=dict(sorted(members.items(), key=lambda item: item[1].epoch)),
        seed=as_position(content["data_seed"]),
        init_scale=scale,
        parameters=_read_tables(content, params, task),
        logged=logged,
        attributes=content,
        remarks=(*remarks, *_remark_on_log(logged)),
    )


def _find_task(content: Mapping[str, Any]) -> str:
    config = content.get("modelconfig")
    return next((name for key, name in _TASKS.items() if isinstance(config, dict) and key in config), "")


def _find_members(
    content: Mapping[str, Any], task: str, scale: float | None
) -> tuple[dict[str, BlobMember], list[str]]:
    members, remarks = {}, []
    for key, saved in content["models"].items():
        number, entries = as_position(key), saved.get("model") if isinstance(saved, dict) else None
        if number is None or not isinstance(entries, Mapping):
            remarks.append(f"models[{str(key)[:40]!r}] is no checkpoint and left out")
            continue
        if as_position(saved.get("epoch", number)) != number:
            remarks.append(f"models[{number}] says epoch {saved.get('epoch')!s:.20} of itself; its key is believed")
        members[f"models.{number}"] = BlobMember(epoch=number + 1, entries=entries, factor=1.0)
    instance = content["modelinstance"]
    network = instance.get("network") if isinstance(instance, dict) else None
    is_scaled_later = task == "ising"
    if not isinstance(network, ModuleState):
        remarks.append("the initial parameters are not in it: it begins at the first checkpoint")
    elif is_scaled_later and scale is None:
        remarks.append("the initial parameters are left out: the weight multiplier they lack is not known")
    else:
        factor = scale if is_scaled_later and scale is not None else 1.0
        members[INITIAL] = BlobMember(epoch=0, entries=network, factor=factor)
    return members, remarks


def _read_tables(content: Mapping[str, Any], params: Mapping[str, Any], task: str) -> dict[str, dict[str, Any]]:
    arguments = content.get("trainargs")
    arguments = arguments if isinstance(arguments, dict) else {}
    hidden = params.get("hidden_layers")
    width = hidden[0] if isinstance(hidden, list) and len(hidden) == 1 else None
    tables: dict[str, dict[str, Any]] = {
        "task": _read_task(content, params, arguments, task),
        "model": {"hidden": width} if task else {},
        "optimizer": _read_optimizer(content, params, arguments),
        "run": {},
    }
    if task == "ising":
        tables["model"]["channels"] = params.get("conv_channels")
    for name in ("sgd_seed", "init_seed"):  # equal seeds say nothing that the run's own does not
        if content.get(name) != content["data_seed"]:
            tables["run"][name] = content.get(name)
    if params.get("dropout_p"):
        tables["run"]["dropout_p"] = params["dropout_p"]
    told = {name: {key: value for key, value in table.items() if _is_plain(value)} for name, table in tables.items()}
    return {name: table for name, table in told.items() if table}


def _read_task(
    content: Mapping[str, Any], params: Mapping[str, Any], arguments: Mapping[str, Any], task: str
) -> dict[str, Any]:
    config = content["modelconfig"] if task else {}
    if task == "modular_addition":
        return {"name": task, "p": config["P"], "train_fraction": arguments.get("train_fraction")}
    if task == "ising":
        sides = config["input_dims"]
        side = sides[0] if isinstance(sides, (list, tuple)) and sides else None
        sizes = {"num_train": params.get("train_size"), "num_test": params.get("test_size")}
        return {"name": task, "size": side, **sizes, "draw": "shuffled"}
    return {}


def _read_optimizer(
    content: Mapping[str, Any], params: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    instance = content["modelinstance"]
    maker = str(instance.get("optimiser")) if isinstance(instance, dict) else ""
    loader = content.get("train_loader")
    size = loader.get("batch_size") if isinstance(loader, dict) else arguments.get("batch_size")
    sampler = loader.get("sampler") if isinstance(loader, dict) else None
    is_full = isinstance(size, int) and isinstance(_num_train(content, params), int)
    return {
        "name": maker.rpartition(".")[2].lower() or None,
        "lr": params.get("learning_rate"),
        "weight_decay": params.get("weight_decay"),
        "batch_size": "full" if is_full and size >= _num_train(content, params) else size,
        # a sampler that shuffles may draw with replacement; one that does not has nothing to say
        "reshuffle": "replacement" in sampler if isinstance(sampler, dict) else None,
    }


def _num_train(content: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    match content.get("train_loader"):
        case {"dataset": {"indices": list(indices)}}:
            return len(indices)
    return params.get("train_size")


def _remark_on_log(logged: Mapping[str, list[float]]) -> list[str]:
    if not logged:
        return []
    num_epochs = len(next(iter(logged.values())))
    remark = f"its own log ({num_epochs} epochs) is not taken for the history, which is evaluated at the checkpoints"
    return [f"{remark}; grokprobe info FILE --json shows it"]


def _as_scale(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < math.inf else None


def _as_numbers(values: Any) -> list[float]:
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return []
    return [float(value) for value in values]


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(type(item) in (int, float, str) for item in value)
    return type(value) in (bool, int, float, str)
