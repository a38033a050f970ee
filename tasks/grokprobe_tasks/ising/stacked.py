"""The network of many members at once, with its gradient written out."""

from collections.abc import Mapping

import torch
from torch.nn import functional

from grokprobe.interfaces import Stacked

#: Of the two partners in a pool's upper and lower row 1 where the right one is larger; then where the lower row's is.
_Choices = tuple[torch.Tensor, torch.Tensor]

#: Samples whose outputs are computed at a time; more of them do not fit a processor's cache.
_NUM_SAMPLES = 256


class StackedConvNetwork:
    """``ConvNetwork`` and its mean cross entropy for many members, as products of matrices.

    A convolution and the pooling after it are computed by blocks: a block of outputs, in which whole 2×2 pools lie, is
    a matrix times the block of inputs that it sees, and the entries of that matrix are the nine weights and zeros
    (a Toeplitz matrix). The four partners of a pool are axes of the outputs, the column before the row, and

    - ``conv1``: a block is one pool, and sees 4×4 spins. ``encode`` cuts those out, (num_samples, (L/2)², 16), with
      zeros around the lattice. One product serves all scales of a seed: (2·2·c₁·num_scales, 16) times (16, blocks).
    - maps: (c₁, num_members, num_samples, (L/2)²).
    - ``conv2``: a block is two rows of outputs, and sees four consecutive rows of the maps, three at the lattice's
      edge, which need not be copied: for each channel (num_samples, 4·L/2) times (4·L/2, 2·2·c₂·L/4).
    - features: (num_members, num_samples, L/4, c₂, L/4), so ``pack`` reorders the columns of ``hidden.weight``.

    The pool's maximum is taken before the bias and the ReLU, with which it commutes. As in PyTorch the gradient goes to
    the first of equal partners in row-major order. Only the difference of the two logits enters the loss, so their
    gradients are opposite. A member with infinite weights may have NaN where ``ConvNetwork`` has not.
    """

    def __init__(self, size: int, channels: tuple[int, int]) -> None:
        self._width = size // 2
        self._channels = channels
        single, double = _toeplitz(4, 1, 0), _toeplitz(self._width, self._width // 2, 1)
        by_channel = torch.eye(channels[1], dtype=torch.float64)
        double = torch.einsum("tspx,oq->spqxot", double.unflatten(1, (-1, 4, self._width // 2)), by_channel)
        self._toeplitz = {(torch.device("cpu"), torch.float64): (single, double.reshape(-1, 9 * channels[1]))}

    def pack(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Moves the row of a feature, the second of its three axes in the network, to the front."""
        return {name: self._swap(name, value, (self._channels[1], -1)) for name, value in parameters.items()}

    def unpack(self, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Moves the row of a feature back."""
        return {name: self._swap(name, value, (-1, self._channels[1])) for name, value in packed.items()}

    def _swap(self, name: str, value: torch.Tensor, leading: tuple[int, int]) -> torch.Tensor:
        if name != "hidden.weight":
            return value.contiguous()
        features = value.unflatten(-1, (*leading, self._width // 2))
        return features.transpose(-3, -2).flatten(-3).contiguous()

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the 4×4 spins that each pool sees, shape (num_samples, (L/2)², 16), of (num_samples, 1, L, L)."""
        padded = functional.pad(inputs.squeeze(1), (1, 1, 1, 1))
        return padded.unfold(1, 4, 2).unfold(2, 4, 2).flatten(3).flatten(1, 2).contiguous()

    def compute_outputs(self, parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the logits, shape (num_members, batch, 2)."""
        outputs = []
        size = _NUM_SAMPLES if inputs.device.type == "cpu" else inputs.shape[1]
        for part in inputs.split(max(size, 1), dim=1):
            features, _ = self._convolve_maps(parameters, self._convolve_spins(parameters, part)[0])
            outputs.append(_affine(parameters, "output", _affine(parameters, "hidden", features).relu_()))
        return torch.cat(outputs, dim=1)

    def evaluate(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the sum of the cross entropies in nats, float64, and the number of snapshots that are told right."""
        margins = torch.diff(self.compute_outputs(parameters, inputs).double()).squeeze(2)
        classes = targets.repeat_interleave(len(margins) // len(targets), dim=0)
        losses = functional.softplus(torch.where(classes == 1, -margins, margins))
        return losses.sum(dim=1), ((margins > 0) == (classes == 1)).sum(dim=1)

    def compute_gradients(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
    ) -> torch.Tensor:
        """Writes the gradients of the mean cross entropies, and returns these, shape (num_members,)."""
        maps, spin_choices = self._convolve_spins(parameters, inputs)
        features, map_choices = self._convolve_maps(parameters, maps)
        neurons = _affine(parameters, "hidden", features).relu_()
        axis = torch.diff(parameters["output.weight"], dim=1)
        margins = torch.matmul(neurons, axis.mT).squeeze(-1) + torch.diff(parameters["output.bias"], dim=1)
        signs = (2 * targets - 1).to(margins.dtype).repeat_interleave(len(margins) // len(targets), dim=0)
        margins *= signs
        losses = -functional.logsigmoid(margins).mean(dim=1)
        slopes = torch.sigmoid(-margins).mul_(signs).div_(-margins.shape[1])

        gradients["output.bias"][:] = _opposite(slopes.sum(dim=1, keepdim=True))
        gradients["output.weight"][:] = _opposite(torch.bmm(slopes.unsqueeze(1), neurons))
        slopes = _gate(slopes.unsqueeze(-1) * axis, neurons)
        torch.sum(slopes, dim=1, out=gradients["hidden.bias"])
        torch.bmm(slopes.mT, features, out=gradients["hidden.weight"])
        slopes = _gate(torch.bmm(slopes, parameters["hidden.weight"]), features)
        slopes = self._differentiate_maps(parameters, maps, map_choices, slopes, gradients)
        self._differentiate_spins(inputs, maps, spin_choices, slopes, gradients)
        return losses

    def _convolve_spins(self, parameters: Stacked, inputs: torch.Tensor) -> tuple[torch.Tensor, list[_Choices]]:
        """Returns the padded maps, and for each seed which partners were chosen."""
        weight, bias = parameters["conv1.weight"], parameters["conv1.bias"]
        matrix = self._matrices(weight)[0]  # (9, 16·2·2)
        blocks = (weight.flatten(2) @ matrix).unflatten(2, (16, 4)).permute(3, 1, 0, 2)  # (4, c₁, num_members, 16)
        channels, members = blocks.shape[1:3]
        maps = weight.new_empty(channels, members, *inputs.shape[1:3])
        choices = []
        for spins, ours in self._by_seed(inputs, maps):
            block = blocks[:, :, ours].flatten(0, 2)
            pooled, chosen = _pool(torch.mm(block, spins.T).view(2, 2, -1))
            choices.append(chosen)
            torch.add(pooled.view(maps[:, ours].shape), bias.T[:, ours, None, None], out=maps[:, ours])
        return maps.relu_(), choices

    def _differentiate_spins(
        self,
        inputs: torch.Tensor,
        maps: torch.Tensor,
        choices: list[_Choices],
        slopes: torch.Tensor,
        gradients: Stacked,
    ) -> None:
        channels, members = maps.shape[:2]
        blocks = maps.new_empty(4, channels, members, 16)
        slopes = _gate(slopes, maps).flatten(2)
        gradients["conv1.bias"][:] = slopes.sum(dim=2).T
        for (spins, ours), chosen in zip(self._by_seed(inputs, maps), choices, strict=True):
            partners = _unpool(slopes[:, ours].flatten(), chosen)
            blocks[:, :, ours] = torch.mm(partners.view(-1, len(spins)), spins).view(4, channels, -1, 16)
        blocks[:2] -= blocks[2:]
        summed = blocks.permute(2, 1, 3, 0).flatten(2) @ self._matrices(maps)[0].T
        gradients["conv1.weight"][:] = summed.view_as(gradients["conv1.weight"])

    def _by_seed(self, inputs: torch.Tensor, maps: torch.Tensor) -> list[tuple[torch.Tensor, slice]]:
        """Returns for each seed its spins, shape (blocks, 16), and its members."""
        scales = maps.shape[1] // len(inputs)
        spins = inputs.to(maps.dtype).flatten(1, 2)
        return [(ours, slice(seed * scales, (seed + 1) * scales)) for seed, ours in enumerate(spins)]

    def _convolve_maps(self, parameters: Stacked, maps: torch.Tensor) -> tuple[torch.Tensor, list[_Choices]]:
        """Returns the features, and for each row of pools which partners were chosen."""
        matrices = self._map_matrices(parameters["conv2.weight"])
        outputs, width = self._channels[1], self._width // 2
        members, samples = maps.shape[1:3]
        features = maps.new_empty(members, samples, width, outputs * width)
        bias = parameters["conv2.bias"].repeat_interleave(width, dim=1).unsqueeze(1)
        choices = []
        for row in range(width):
            sites, lines = self._seen(row)
            values = torch.bmm(maps[0, ..., sites], matrices[0, :, lines])
            for channel in range(1, len(maps)):
                values.baddbmm_(maps[channel, ..., sites], matrices[channel, :, lines])
            pooled, chosen = _pool(values.view(members, samples, 2, 2, -1))
            torch.clamp_min(pooled.add_(bias), 0, out=features[:, :, row])
            choices.append(chosen)
        return features.flatten(2), choices

    def _differentiate_maps(
        self,
        parameters: Stacked,
        maps: torch.Tensor,
        choices: list[_Choices],
        slopes: torch.Tensor,
        gradients: Stacked,
    ) -> torch.Tensor:
        """Returns the gradient of the padded maps."""
        weight = parameters["conv2.weight"]
        matrices = self._map_matrices(weight)
        matrices[..., matrices.shape[3] // 2 :] -= matrices[..., : matrices.shape[3] // 2]
        outputs, width = self._channels[1], self._width // 2
        rows = slopes.unflatten(2, (width, -1))
        torch.sum(slopes.sum(dim=1).unflatten(1, (width, outputs, width)), dim=(1, 3), out=gradients["conv2.bias"])
        summed = torch.zeros_like(matrices)
        result = torch.zeros_like(maps)
        for row, chosen in enumerate(choices):
            partners = _unpool(rows[:, :, row], chosen).flatten(2)
            sites, lines = self._seen(row)
            for channel in range(len(maps)):
                summed[channel, :, lines].baddbmm_(maps[channel, ..., sites].mT, partners)
                result[channel, ..., sites].baddbmm_(partners, matrices[channel, :, lines].mT)
        half = summed.shape[3] // 2
        summed[..., :half] -= summed[..., half:]
        entries = (summed.flatten(2) @ self._matrices(weight)[1]).unflatten(2, (outputs, 3, 3))
        gradients["conv2.weight"][:] = entries.permute(1, 2, 0, 3, 4)
        return result

    def _seen(self, row: int) -> tuple[slice, slice]:
        """Returns which sites of the maps a row of pools sees, and the lines of ``_map_matrices`` for them."""
        width, first = self._width, 2 * row - 1
        start, stop = max(0, first), min(width, first + 4)
        return slice(start * width, stop * width), slice((start - first) * width, (stop - first) * width)

    def _map_matrices(self, weight: torch.Tensor) -> torch.Tensor:
        """Returns the matrix of a block of ``conv2``, shape (c₁, num_members, 4·L/2, 2·2·c₂·L/4)."""
        matrices = weight.permute(2, 0, 1, 3, 4).flatten(2) @ self._matrices(weight)[1].T
        return matrices.unflatten(2, (4 * self._width, -1))

    def _matrices(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        key = (like.device, like.dtype)
        if key not in self._toeplitz:
            first, second = self._toeplitz[torch.device("cpu"), torch.float64]
            self._toeplitz[key] = (first.to(like), second.to(like))
        return self._toeplitz[key]


def _pool(values: torch.Tensor) -> tuple[torch.Tensor, _Choices]:
    """Returns the largest of the partners in values[…, column, row, :]."""
    left, right = values.unbind(-3)
    rows = torch.maximum(left, right)
    rightward = torch.gt(right, left, out=torch.empty_like(rows))
    upper, lower = rows.unbind(-2)
    pooled = torch.maximum(upper, lower)
    return pooled, (rightward, torch.gt(lower, upper, out=torch.empty_like(pooled)))


def _unpool(slopes: torch.Tensor, choices: _Choices) -> torch.Tensor:
    """Returns the gradient of the rows, and of it what goes to the right partner, in the layout of the partners."""
    rightward, downward = choices
    result = rightward.new_empty(*rightward.shape[:-2], 2, *rightward.shape[-2:])
    rows, right = result.unbind(-3)
    upper, lower = rows.unbind(-2)
    torch.sub(slopes, torch.mul(slopes, downward, out=lower), out=upper)
    torch.mul(rows, rightward, out=right)
    return result


def _gate(slopes: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Returns the gradient before a ReLU given the one after it and its values."""
    return torch.ops.aten.threshold_backward(slopes, values, 0)


def _opposite(slopes: torch.Tensor) -> torch.Tensor:
    return torch.cat([-slopes, slopes], dim=1)


def _affine(parameters: Stacked, layer: str, inputs: torch.Tensor) -> torch.Tensor:
    return torch.baddbmm(parameters[f"{layer}.bias"].unsqueeze(1), inputs, parameters[f"{layer}.weight"].mT)


def _toeplitz(num_seen: int, num_pools: int, padding: int) -> torch.Tensor:
    """Returns which weight connects what a block sees with its outputs, as zeros and ones.

    A block sees 4 rows of ``num_seen`` columns, and has 2 rows of ``num_pools`` pools. Its first output's first
    weight belongs to the column ``-padding``.

    Returns:
        Shape (9, 4·num_seen·2·2·num_pools): tap; row and column seen; column and row of the partner, pool.
    """
    seen_row, seen, column, row, pool = torch.meshgrid(
        *(torch.arange(length) for length in (4, num_seen, 2, 2, num_pools)), indexing="ij"
    )
    down, right = seen_row - row, seen - (2 * pool + column) + padding
    inside = (down >= 0) & (down < 3) & (right >= 0) & (right < 3)
    taps = torch.where(inside, 3 * down + right, -1).flatten()
    return (taps == torch.arange(9).unsqueeze(1)).double()
