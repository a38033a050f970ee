from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokprobe.checkpoints import Layout
from grokprobe.errors import UsageError

PATTERN = "p_{p}_dmlp_{width}_{act}_{init}_scale_{init_scale}_decay_{weight_decay}_{run}/{epoch}.pth"
RUN = Path("/data/p_23_dmlp_512_ReLU_random_scale_0.1_decay_0_08142058")


def test_reads_every_field():
    match = Layout.parse(PATTERN).match(RUN / "200.pth")
    assert match is not None
    assert (match.seed, match.init_scale, match.epoch, match.step) == (None, 0.1, 200, None)
    assert match.fields == {"p": 23, "width": 512, "act": "ReLU", "init": "random", "weight_decay": 0}
    assert match.unparsed == {}
    assert match.run_path == RUN


def test_a_word_for_an_epoch_is_left_to_the_file():
    match = Layout.parse(PATTERN).match(RUN / "final.pth")
    assert match is not None
    assert (match.epoch, match.unparsed) == (None, {"epoch": "final"})
    assert match.run_path == RUN


@pytest.mark.parametrize("path", ["200.pth", "/p_23/200.pth", str(RUN / "200.pt"), str(RUN / "200.pth" / "x")])
def test_does_not_match(path):
    assert Layout.parse(PATTERN).match(Path(path)) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("-3", -3), ("007", "007"), ("0.5", 0.5), ("1e-3", 0.001), (".5", 0.5), ("1_000", "1_000"),
     ("nan", "nan"), ("inf", "inf"), ("1e999", "1e999"), ("e5", "e5"), (".", "."), ("-", "-"),
     ("٣", "٣"), ("00.5", "00.5")],
)  # fmt: skip
def test_types_of_fields(text, value):
    match = Layout.parse("x={x}.pt").match(Path(f"/x={text}.pt"))
    assert match is not None
    assert (match.fields["x"], type(match.fields["x"])) == (value, type(value))


@pytest.mark.parametrize("text", ["0", "-1", "big", "nan"])
def test_a_scale_is_positive(text):
    match = Layout.parse("{init_scale}.pt").match(Path(f"/{text}.pt"))
    assert match is not None
    assert (match.init_scale, match.unparsed) == (None, {"init_scale": text})


def test_literals_are_literal():
    layout = Layout.parse("h_[{width}].*:{seed}/e+{epoch}.pt")
    match = layout.match(Path("/a/h_[512].*:3/e+4.pt"))
    assert match is not None
    assert (match.fields, match.seed, match.epoch) == ({"width": 512}, 3, 4)
    assert layout.match(Path("/a/h_5.x:3/e+4.pt")) is None


@pytest.mark.parametrize(
    ("pattern", "path", "run_path"),
    [
        ("{run}/{epoch}.pt", "/a/r/5.pt", "/a/r"),
        ("{run}/{epoch}/model.pt", "/a/r/5/model.pt", "/a/r/{epoch}/model.pt"),
        ("{run}/step_{step}/{_}.pt", "/a/r/step_5/m.pt", "/a/r/step_{step}/m.pt"),
        ("{seed}_{epoch}.pt", "/a/3_5.pt", "/a/3_{epoch}.pt"),
        ("{epoch}_{seed}_{step}.pt", "/a/5_3_50.pt", "/a/{epoch}_3_{step}.pt"),
        ("{run}/model.pt", "/a/r/model.pt", "/a/r"),
        ("{run}.pt", "/a/r.pt", "/a/r.pt"),
        ("{_}_{_}.pt", "/a/r_s.pt", "/a/r_s.pt"),
    ],
)
def test_identity_of_the_run(pattern, path, run_path):
    match = Layout.parse(pattern).match(Path(path))
    assert match is not None
    assert match.run_path == Path(run_path)
    assert match.fields == {}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{epoch}/{epoch}.pt", "used twice"),
        ("{run}-{run}.pt", "used twice"),
        ("{weight decay}.pt", "expected a name"),
        ("{}.pt", "expected a name"),
        ("{2}.pt", "expected a name"),
        ("{a:int}.pt", "expected a name"),
        ("{a.pt", "single brace"),
        ("a}.pt", "single brace"),
        ("{a}{b}.pt", "expected text between"),
        ("", "single slashes"),
        ("/{epoch}.pt", "single slashes"),
        ("a//{epoch}.pt", "single slashes"),
        ("../{epoch}.pt", "single slashes"),
    ],
)
def test_bad_pattern(pattern, message):
    with pytest.raises(UsageError, match=message):
        Layout.parse(pattern)


@given(
    seed=st.integers(0, 10**9), scale=st.floats(1e-6, 1e6), epoch=st.integers(0, 10**9),
    word=st.from_regex(r"[a-z]{1,9}", fullmatch=True),
)  # fmt: skip
def test_reads_what_was_written(seed, scale, epoch, word):
    match = Layout.parse("{act}-{seed}/s={init_scale}/{epoch}").match(Path(f"/{word}-{seed}/s={scale!r}/{epoch:05d}"))
    assert match is not None
    assert (match.fields, match.seed, match.init_scale, match.epoch) == ({"act": word}, seed, scale, epoch)
