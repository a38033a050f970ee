"""Gradients and outputs of many two-layer networks at once, written by hand."""

from collections.abc import Iterator, Mapping

import torch

from grokprobe.interfaces import Stacked

#: Samples of one member whose hidden layer is computed together, so that it stays in a processor's cache.
NUM_CACHED_SAMPLES = 256
#: Logarithm of the least probability that is told from 0: its exponential is the last one above float32's denormals,
#: which a processor handles in microcode.
LEAST_LOG_PROBABILITY = -87.0
# The public functions of this derivative allocate; grad_input names its output.
_mask_where_inactive = torch.ops.aten.threshold_backward.grad_input


class StackedTwoLayerNetwork:
    """The stacked form of :class:`TwoLayerNetwork`: logits = c + V · h, h = relu(b + W x), with x two-hot.

    A product with a two-hot x is the sum of two columns of W. So samples are encoded as the indices (a, p + b) of
    the ones, and both weights are held transposed: W as (2p, hidden), where each of the columns is contiguous, and V
    as (hidden, p), the faster of the two layouts for the three products that it takes part in.

    With the mean cross entropy L over n samples, q = softmax(logits) and one-hot targets y:

        δ = ∂L/∂logits = (q − y) / n,   ∂L/∂V = Σ δ hᵀ,   ∂L/∂c = Σ δ,
        ε = (Vᵀ δ) · [h > 0],           ∂L/∂W = Σ ε xᵀ,   ∂L/∂b = Σ ε.

    On a CPU the members are computed one after the other, each by the same calls, so that a member's numbers depend
    neither on the other members nor on how many there are. On other devices they are computed together; there ∂L/∂W is
    a product with the two-hot x rather than a sum by index, whose order a GPU does not fix.
    """

    def pack(self, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns copies with the two weights transposed, (2p, hidden) and (hidden, p), and the biases as they are."""
        return {
            name: (tensor.T if tensor.ndim == 2 else tensor).clone(memory_format=torch.contiguous_format)
            for name, tensor in parameters.items()
        }

    def unpack(self, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Transposes back: :meth:`pack` is its own inverse."""
        return self.pack(packed)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the indices (a, p + b) of the ones, int64 of shape (num_samples, 2), of two-hot (num_samples, 2p)."""
        p = inputs.shape[1] // 2
        return torch.stack([inputs[:, :p].argmax(dim=1), p + inputs[:, p:].argmax(dim=1)], dim=1)

    @torch.no_grad()
    def compute_gradients(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
    ) -> torch.Tensor:
        """Writes the gradients of the mean cross entropies in nats and returns these.

        Args:
            parameters: packed, first axis num_members = num_seeds · num_scales, the scales of a seed side by side.
            inputs: encoded, shape (num_seeds, batch, 2).
            targets: class indices, shape (num_seeds, batch).
            gradients: packed and contiguous; overwritten.

        Returns:
            Shape (num_members,), in the parameters' type.
        """
        compute = _compute_gradients_by_member if inputs.device.type == "cpu" else _compute_gradients_together
        return compute(parameters, inputs, targets, gradients)

    @torch.no_grad()
    def compute_outputs(self, parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the logits, shape (num_members, batch, p), of encoded inputs (num_seeds, batch, 2)."""
        compute = _compute_outputs_by_member if inputs.device.type == "cpu" else _compute_outputs_together
        return compute(parameters, inputs)

    @torch.no_grad()
    def evaluate(
        self, parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the sum of the cross entropies in nats, float64, and the number of correct pairs, for each member.

        With the largest logit m and the true class y, ln Σₖ e^(zₖ − m) − (z_y − m) is taken from float32 differences
        to m, but the small sum of the other classes and the logarithm are in float64: the loss of a pair that is all
        but certain is exact to rounding down to 10⁻³⁵, where the difference of two logarithms would be 0.
        """
        compute = _evaluate_by_member if inputs.device.type == "cpu" else _evaluate_together
        return compute(parameters, inputs, targets)


def _split_members(stacked: Stacked) -> list[dict[str, torch.Tensor]]:
    """Returns views of each member's tensors."""
    return [
        dict(zip(stacked, tensors, strict=True))
        for tensors in zip(*(tensor.unbind() for tensor in stacked.values()), strict=True)
    ]


def _build_targets_of_gradient(targets: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Returns −y/n, the part of δ that the members of a seed share, shape (num_seeds, batch, p)."""
    num_seeds, batch = targets.shape
    shared = like.new_zeros(num_seeds, batch, like.shape[-1])
    return shared.scatter_(2, targets.unsqueeze(2), -1 / batch)


def _write_hidden(
    member: Mapping[str, torch.Tensor], numbers: tuple[torch.Tensor, ...], hidden: torch.Tensor, spare: torch.Tensor
) -> None:
    """Writes h of the samples with these index columns, (batch,) each, to ``hidden``; ``spare`` is of its shape."""
    torch.index_select(member["input.weight"], 0, numbers[0], out=hidden)
    torch.index_select(member["input.weight"], 0, numbers[1], out=spare)
    hidden.add_(spare).add_(member["input.bias"]).relu_()


def _compute_gradients_by_member(
    parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
) -> torch.Tensor:
    num_seeds, batch = targets.shape
    num_members, num_hidden, p = parameters["output.weight"].shape
    num_scales = num_members // num_seeds
    columns = [numbers.unbind() for numbers in inputs.transpose(1, 2).contiguous()]
    shared = _build_targets_of_gradient(targets, parameters["output.bias"]).unbind()
    classes = targets.unsqueeze(2).unbind()
    new = parameters["output.weight"].new_empty
    hidden, spare = new(batch, num_hidden), new(batch, num_hidden)
    logits, log_likelihoods, losses = new(batch, p), new(batch, p), new(num_members, batch, 1)
    members = zip(_split_members(parameters), _split_members(gradients), losses.unbind(), strict=True)
    for index, (member, gradient, loss) in enumerate(members):
        seed = index // num_scales
        _write_hidden(member, columns[seed], hidden, spare)
        torch.addmm(member["output.bias"], hidden, member["output.weight"], out=logits)
        torch.log_softmax(logits, 1, out=log_likelihoods)
        torch.gather(log_likelihoods, 1, classes[seed], out=loss)
        delta = torch.add(shared[seed], log_likelihoods.exp_(), alpha=1 / batch, out=logits)
        epsilon = torch.mm(delta, member["output.weight"].T, out=spare)
        _mask_where_inactive(epsilon, hidden, 0, grad_input=epsilon)
        torch.mm(hidden.T, delta, out=gradient["output.weight"])
        torch.sum(delta, 0, out=gradient["output.bias"])
        torch.sum(epsilon, 0, out=gradient["input.bias"])
        first, second = columns[seed]
        gradient["input.weight"].zero_().index_add_(0, first, epsilon).index_add_(0, second, epsilon)
    return losses.mean(dim=(1, 2)).neg_()


def _compute_outputs_by_member(parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
    num_members, _, p = parameters["output.weight"].shape
    outputs = parameters["output.weight"].new_empty(num_members, inputs.shape[1], p)
    parts = [output.split(NUM_CACHED_SAMPLES) for output in outputs.unbind()]
    for index, part, logits in _compute_outputs_in_parts(parameters, inputs):
        parts[index][part].copy_(logits)
    return outputs


def _compute_outputs_in_parts(parameters: Stacked, inputs: torch.Tensor) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Yields member, part of the samples, and its logits, which the next part overwrites."""
    num_seeds, batch, _ = inputs.shape
    num_members, num_hidden, p = parameters["output.weight"].shape
    num_scales = num_members // num_seeds
    chunks = [
        [columns.unbind() for columns in numbers.split(NUM_CACHED_SAMPLES, dim=1)]
        for numbers in inputs.transpose(1, 2).contiguous()
    ]
    new, size = parameters["output.weight"].new_empty, min(batch, NUM_CACHED_SAMPLES)
    hidden, spare, logits = new(size, num_hidden), new(size, num_hidden), new(size, p)
    for index, member in enumerate(_split_members(parameters)):
        for part, columns in enumerate(chunks[index // num_scales]):
            ours = slice(len(columns[0]))
            _write_hidden(member, columns, hidden[ours], spare[ours])
            yield (
                index,
                part,
                torch.addmm(member["output.bias"], hidden[ours], member["output.weight"], out=logits[ours]),
            )


def _evaluate_by_member(
    parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = _compute_outputs_in_parts(parameters, inputs)
    num_members = len(parameters["output.weight"])
    losses = torch.zeros(num_members, dtype=torch.float64)
    num_correct = torch.zeros(num_members, dtype=torch.int64)
    classes = [ours.unsqueeze(1).split(NUM_CACHED_SAMPLES) for ours in targets]
    num_scales = num_members // len(targets)
    for index, part, logits in outputs:
        ours = classes[index // num_scales][part]
        others, own = _compare_with_largest(logits, ours)
        losses[index] += _compute_losses(others, own).sum()
        is_correct = own == 0
        tied = (is_correct & (others >= 1)).flatten().nonzero().flatten()  # perhaps: then the first class counts
        if len(tied):
            is_correct[tied] = logits[tied].argmax(dim=1, keepdim=True) == ours[tied]
        num_correct[index] += is_correct.sum()
    return losses, num_correct


def _evaluate_together(
    parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    logits = _compute_outputs_together(parameters, inputs)
    classes = targets.repeat_interleave(len(logits) // len(targets), dim=0).unsqueeze(2)
    num_correct = (logits.argmax(dim=2, keepdim=True) == classes).sum(dim=(1, 2))
    return _compute_losses(*_compare_with_largest(logits, classes)).sum(dim=(1, 2)), num_correct


def _compare_with_largest(logits: torch.Tensor, classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns Σ e^(zₖ − m) over the classes k other than the true one, and z_y − m; the last axis has length 1."""
    below = logits - logits.amax(dim=-1, keepdim=True)
    own = below.gather(-1, classes)
    below.scatter_(-1, classes, LEAST_LOG_PROBABILITY).clamp_(min=LEAST_LOG_PROBABILITY)
    return below.exp_().sum(dim=-1, keepdim=True), own


def _compute_losses(others: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Returns the cross entropies in float64 of what :func:`_compare_with_largest` found."""
    own = own.double()
    return torch.log1p(others.double() + torch.expm1(own)) - own


def _compute_hidden_together(parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
    """Returns h of every member, shape (num_members, batch, hidden)."""
    weights = parameters["input.weight"]
    num_members, num_rows, _ = weights.shape
    starts = torch.arange(num_members, device=weights.device) * num_rows
    numbers = inputs.repeat_interleave(num_members // len(inputs), dim=0) + starts.view(-1, 1, 1)
    rows = weights.flatten(0, 1)
    hidden = rows[numbers[..., 0]].add_(rows[numbers[..., 1]])
    return hidden.add_(parameters["input.bias"].unsqueeze(1)).relu_()


def _compute_gradients_together(
    parameters: Stacked, inputs: torch.Tensor, targets: torch.Tensor, gradients: Stacked
) -> torch.Tensor:
    num_seeds, batch = targets.shape
    num_members, num_rows, _ = parameters["input.weight"].shape
    num_scales = num_members // num_seeds
    hidden = _compute_hidden_together(parameters, inputs)
    logits = torch.baddbmm(parameters["output.bias"].unsqueeze(1), hidden, parameters["output.weight"])
    log_likelihoods = logits.log_softmax(dim=2)
    classes = targets.repeat_interleave(num_scales, dim=0).unsqueeze(2)
    losses = log_likelihoods.gather(2, classes).mean(dim=(1, 2)).neg_()
    shared = _build_targets_of_gradient(targets, logits).repeat_interleave(num_scales, dim=0)
    delta = shared.add_(log_likelihoods.exp_(), alpha=1 / batch)
    epsilon = torch.bmm(delta, parameters["output.weight"].transpose(1, 2))
    _mask_where_inactive(epsilon, hidden, 0, grad_input=epsilon)
    two_hot = hidden.new_zeros(num_seeds, batch, num_rows).scatter_(2, inputs, 1)
    two_hot = two_hot.repeat_interleave(num_scales, dim=0)
    torch.bmm(two_hot.transpose(1, 2), epsilon, out=gradients["input.weight"])
    torch.bmm(hidden.transpose(1, 2), delta, out=gradients["output.weight"])
    torch.sum(epsilon, 1, out=gradients["input.bias"])
    torch.sum(delta, 1, out=gradients["output.bias"])
    return losses


def _compute_outputs_together(parameters: Stacked, inputs: torch.Tensor) -> torch.Tensor:
    hidden = _compute_hidden_together(parameters, inputs)
    return torch.baddbmm(parameters["output.bias"].unsqueeze(1), hidden, parameters["output.weight"])
