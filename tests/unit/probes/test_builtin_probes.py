from grokprobe import probes


def test_hook_returns_the_builtin_probes():
    assert [probe.name for probe in probes.grokprobe_probes()] == [
        "activations",
        "fisher",
        "fourier",
        "hessian",
        "linearity",
        "similarity",
        "similarity_to_final",
        "similarity_to_run",
        "steps",
        "weights",
    ]
