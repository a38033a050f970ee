import pytest

from grokprobe.checkpoints.mapping import map_parameters
from grokprobe.errors import UsageError

OWN = {"hidden.weight": (512, 46), "hidden.bias": (512,), "output.weight": (23, 512), "output.bias": (23,)}
DEEP = {"a.weight": (5, 5), "a.bias": (5,), "b.weight": (5, 5), "b.bias": (5,)}

#: Foreign shapes, own shapes → foreign names in the order of the own.
UNIQUE = {
    "same names": (OWN, OWN, list(OWN)),
    "prefix": ({f"module.{name}": shape for name, shape in OWN.items()}, OWN, [f"module.{name}" for name in OWN]),
    "sequential": (
        {"model.0.weight": (512, 46), "model.0.bias": (512,), "model.2.weight": (23, 512), "model.2.bias": (23,)},
        OWN,
        ["model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"],
    ),
    "bias first, layers reversed": (
        {"z.b": (23,), "z.w": (23, 512), "y.b": (512,), "y.w": (512, 46)},
        OWN,
        ["y.w", "y.b", "z.w", "z.b"],
    ),
    "no layers": (
        {"W1": (512, 46), "b1": (512,), "W2": (23, 512), "b2": (23,), "extra": (9, 9)},
        OWN,
        ["W1", "b1", "W2", "b2"],
    ),
    "biases told apart by their weights": (
        {"x.w": (5, 3), "x.b": (5,), "c.w": (5, 5), "c.b": (5,)},
        {"in.weight": (5, 3), "in.bias": (5,), "out.weight": (5, 5), "out.bias": (5,)},
        ["x.w", "x.b", "c.w", "c.b"],
    ),
    "equal layers in natural order": (
        {"net.2.w": (5, 5), "net.2.b": (5,), "net.10.w": (5, 5), "net.10.b": (5,)},
        DEEP,
        ["net.2.w", "net.2.b", "net.10.w", "net.10.b"],
    ),
    "nothing to map": ({"w": (3,)}, {}, []),
}


@pytest.mark.parametrize("name", UNIQUE)
def test_unique_map(name):
    foreign, own, expected = UNIQUE[name]
    found = map_parameters(foreign, own, {})
    assert list(found) == list(own)
    assert list(found.values()) == expected


#: Foreign shapes, own shapes → what the message says.
REFUSED = {
    "tied": (
        {"mlp.W_in": (512, 23), "mlp.W_out": (23, 512)},
        OWN,
        r"shape \(512, 46\) for hidden.weight, found mlp.W_in",
    ),
    "equal layers in another order": (
        {"net.10.w": (5, 5), "net.10.b": (5,), "net.2.w": (5, 5), "net.2.b": (5,)},
        DEEP,
        "no unique order",
    ),
    "one layer too many": (
        {f"{layer}.{part}": shape for layer in "pqr" for part, shape in (("w", (5, 5)), ("b", (5,)))},
        DEEP,
        "no unique order",
    ),
    "two candidates": ({"v": (3,), "w": (3,)}, {"x": (3,)}, "for each of x, found v, w"),
    "two prefixes": ({"ema.w": (3,), "net.w": (3,)}, {"w": (3,)}, "for each of w, found ema.w, net.w"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_unique_map(name):
    foreign, own, message = REFUSED[name]
    with pytest.raises(UsageError, match=message) as caught:
        map_parameters(foreign, own, {})
    assert "--set task.map.NEW=OLD" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_said_goes_first():
    foreign, own = {"v": (3,), "w": (3,)}, {"x": (3,), "y": (3,)}
    assert map_parameters(foreign, own, {}) == {"x": "v", "y": "w"}
    assert map_parameters(foreign, own, {"x": "w"}) == {"x": "w", "y": "v"}
    assert map_parameters(foreign, {"x": (3,)}, {"x": "w"}) == {"x": "w"}


@pytest.mark.parametrize(
    ("explicit", "message"),
    [
        ({"z": "v"}, r"task\.map\.z: expected a parameter of the task \(x, y\)"),
        ({"x": "u"}, r"task\.map\.x: expected a tensor of the file \(v, w\)"),
        ({"y": "v"}, r"task\.map\.y: expected a tensor of shape \(2,\), found 'v' of \(3,\)"),
        ({"x": "v", "t": "v"}, "once"),
    ],
)
def test_bad_explicit_map(explicit, message):
    own = {"x": (3,), "y": (2,)} | ({"t": (3,)} if "t" in explicit else {})
    with pytest.raises(UsageError, match=message):
        map_parameters({"v": (3,), "w": (2,)}, own, explicit)
