"""The runner of console examples finds the commands, and notices when a page is wrong."""

import sys

import pytest

from console_examples import Example, ExampleError, matches, parse_examples, run_example

PAGE = """\
Text with `$ grokprobe inline`, which is no example.

```console
$ pip install grokprobe
Successfully installed
$ grokprobe train modular_addition/demo \\
    --out "my runs"
2 runs
...
$ grokprobe info "my runs"
```

```python
$ grokprobe "not a console block"
```

```console
$ grokprobe info nowhere  # exit 2
expected a directory
```
"""

ECHO = (sys.executable, "-c", "import sys; print(*sys.argv[1:], sep='\\n')")
FAIL = (sys.executable, "-c", "import sys; print('out'); sys.exit('no such thing')")
DIRECTORY = (sys.executable, "-c", "import os, sys; print(os.path.basename(os.getcwd()), sys.stdin.isatty())")


def test_commands_are_found():
    assert [(example.command.split()[1], example.exit_status) for example in parse_examples(PAGE)] == [
        ("train", 0),
        ("info", 0),
        ("info", 2),
    ]


def test_output_and_continuation_are_kept():
    train, info, _ = parse_examples(PAGE)
    assert train.expected == "2 runs\n..."
    assert train.command.endswith('--out "my runs"')
    assert info.expected == ""


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a  \nb\n\n", True),
        ("a\nb", "a\nb\nc\n", False),
        ("a\n...", "a\n", True),
        ("a\n...\nd", "a\nb\nc\nd\n", True),
        ("...\nd", "d\n", True),
        ("a\n...\nd", "a\nb\nc\n", False),
        ("took ... s", "took 1.25 s\n", True),
        ("took ... s", "took\n1.25 s\n", False),
        ("a.b", "axb\n", False),
    ],
)
def test_ellipsis(expected, found, same):
    assert matches(expected, found) is same


def test_example_runs_in_its_directory_without_a_terminal(tmp_path):
    run_example(Example(command="grokprobe", expected=f"{tmp_path.name} False"), tmp_path, DIRECTORY)


def test_arguments_are_split_as_a_shell_does(tmp_path):
    run_example(Example(command="grokprobe info 'my runs'  # note", expected="info\nmy runs"), tmp_path, ECHO)


def test_other_output_is_noticed(tmp_path):
    with pytest.raises(ExampleError, match="expected:\nb"):
        run_example(Example(command="grokprobe a", expected="b"), tmp_path, ECHO)


def test_output_that_is_not_shown_is_not_compared(tmp_path):
    run_example(Example(command="grokprobe a", expected=""), tmp_path, ECHO)


def test_failure_is_noticed(tmp_path):
    with pytest.raises(ExampleError, match="expected exit status 0, found 1"):
        run_example(Example(command="grokprobe a", expected=""), tmp_path, FAIL)


def test_expected_failure_shows_its_error(tmp_path):
    run_example(Example(command="grokprobe a", expected="out\nno such thing", exit_status=1), tmp_path, FAIL)
