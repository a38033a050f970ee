"""Laws of schedules."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from grokprobe.training.schedule import resolve_schedule

epochs = st.integers(1, 300)
entries = st.lists(
    st.one_of(
        st.builds("every {}".format, st.integers(1, 400)),
        st.builds("every {} from {}".format, st.integers(1, 50), st.integers(0, 400)),
        st.builds("every {} until {}".format, st.integers(1, 50), st.integers(0, 400)),
        st.builds("log {}".format, st.integers(1, 60)),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(entries, epochs)
def test_increasing_from_zero_to_the_last(entries: list[str], epochs: int) -> None:
    resolved = resolve_schedule(entries, epochs)
    assert resolved[0] == 0
    assert resolved[-1] == epochs
    assert all(earlier < later for earlier, later in itertools.pairwise(resolved))


@settings(deadline=None, max_examples=60)
@given(entries, entries, epochs)
def test_entries_are_a_union(first: list[str], second: list[str], epochs: int) -> None:
    union = set(resolve_schedule(first, epochs)) | set(resolve_schedule(second, epochs))
    assert set(resolve_schedule(first + second, epochs)) == union


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(0, 400), st.integers(0, 400), epochs)
def test_every_is_what_a_loop_says(step: int, start: int, length: int, epochs: int) -> None:
    stop = start + length
    expected = {epoch for epoch in range(epochs + 1) if start <= epoch <= stop and (epoch - start) % step == 0}
    assert set(resolve_schedule([f"every {step} from {start} until {stop}"], epochs)) == expected | {0, epochs}
