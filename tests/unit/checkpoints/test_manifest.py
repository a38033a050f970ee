from pathlib import Path

import pytest

from grokprobe.checkpoints.manifest import ManifestChain, read_manifest_file
from grokprobe.errors import UsageError

FULL = """
seed = 3
init_scale = 1
split = "indices:splits/a.json"
[task]
name = "modular_addition"
p = 23
[run]
width = 512
[epochs]
"final.pth" = 10000
"sub/final.pth" = 500
"""


def write(directory, text):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "grokprobe.toml").write_text(text)


def test_says(tmp_path):
    write(tmp_path, FULL)
    chain = ManifestChain().below(tmp_path)
    assert (chain.says("seed"), chain.says("init_scale")) == (3, 1)
    assert chain.says("split") == f"indices:{tmp_path}/splits/a.json"
    assert chain.says("task") == {"name": "modular_addition", "p": 23}
    assert chain.says("model") is None
    assert chain.epoch(tmp_path / "final.pth") == 10000
    assert chain.epoch(tmp_path / "sub" / "final.pth") == 500
    assert chain.epoch(tmp_path / "1.pth") is None


def test_the_nearest_that_says_it_is_believed(tmp_path):
    write(tmp_path, FULL)
    write(tmp_path / "a", 'seed = 0\nsplit = "all"\n[task]\nname = "ising"\n[epochs]\n"final.pth" = 7')
    chain = ManifestChain().below(tmp_path).below(tmp_path / "a").below(tmp_path / "a" / "b")
    assert (chain.says("seed"), chain.says("init_scale"), chain.says("split")) == (0, 1, "all")
    assert chain.says("task") == {"name": "ising"}
    assert chain.epoch(tmp_path / "a" / "b" / "final.pth") == 7


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("seed = '3'\ninit_scale = -1\nlayout = 'x'", ["seed: ", "init_scale: ", "layout: "]),
        ("seed = 1.0", ["seed: "]),
        ("seed = -1", ["seed: "]),
        ("init_scale = inf", ["init_scale: "]),
        ("split = 'half'", ["split: "]),
        ("[epochs]\n'a.pt' = -1\n'b.pt' = 'x'", ["epochs.a.pt: ", "epochs.b.pt: "]),
        ("task = 'ising'", ["task: "]),
        ("seed = = 1", ["expected TOML"]),
    ],
)
def test_every_fault_is_named(tmp_path, text, faults):
    write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        ManifestChain().below(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'grokprobe.toml'}: ")
    assert all(fault in str(caught.value) for fault in faults)


def test_not_text(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="expected TOML"):
        read_manifest_file(tmp_path / "x")
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest_file(Path(tmp_path / "missing"))
