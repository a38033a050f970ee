import torch

from grokprobe.numerics.layers import as_matrix, layer_label


def test_label_is_the_name_without_weight():
    parameters = ["input.weight", "input.bias", "mlp.W_in", "weight"]
    assert [layer_label(name, parameters) for name in parameters] == ["input", "input.bias", "mlp.W_in", "weight"]


def test_label_stays_whole_where_the_short_one_is_taken():
    assert layer_label("scale.weight", ["scale", "scale.weight"]) == "scale.weight"


def test_kernel_becomes_a_matrix_of_outputs():
    kernel = torch.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    matrix = as_matrix(kernel)
    assert matrix.shape == (2, 12)
    assert matrix.dtype == torch.int64
    assert as_matrix(torch.ones(2, 2).to(torch.float8_e5m2)).dtype == torch.bfloat16
    assert matrix[1].tolist() == kernel[1].flatten().tolist()
