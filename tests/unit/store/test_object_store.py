import sys

import pytest
import xarray as xr
from click.testing import CliRunner

from grokprobe.cli import main
from grokprobe.errors import GrokprobeError, StoreError, UsageError
from grokprobe.store import open_place, open_results
from object_store_server import Bucket
from unit.made_results import Sweep, write_results
from unit.store.published import measured_numbers, publish_root, publish_small

#: Environment of a user who reaches nothing, and what is said.
UNREACHABLE = (
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Connection refused"),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no providers in chain provided credentials"),
)


def fail_to_write(url: str) -> GrokprobeError:
    with pytest.raises(GrokprobeError) as raised, open_place(url):
        pytest.fail("it was opened")
    return raised.value


def fail_to_read(url: str) -> GrokprobeError:
    with pytest.raises(GrokprobeError) as raised:
        open_results(url)
    return raised.value


def test_readable_without_grokprobe(bucket: Bucket) -> None:
    import icechunk

    publish_small(bucket.url)
    storage = icechunk.s3_storage(
        bucket=bucket.name,
        prefix="of/mine.zarr",
        endpoint_url=bucket.environment["AWS_ENDPOINT_URL"],
        from_env=True,
        allow_http=True,
        force_path_style=True,
        region="us-east-1",
    )
    store = icechunk.Repository.open(storage).readonly_session("main").store
    tree = xr.open_datatree(store, engine="zarr", consolidated=False)
    assert set(tree.children) == {"small", ".grokprobe"}
    assert measured_numbers(tree) == measured_numbers(open_results(bucket.url)) == list(range(40))


@pytest.mark.parametrize(("variables", "cause"), UNREACHABLE)
def test_unreachable(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cause: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for error, exit_code in ((fail_to_read(bucket.url), 5), (fail_to_write(bucket.url), 6)):
        assert str(error).startswith(f"{bucket.url} cannot be reached: ")
        assert cause in str(error)
        assert error.exit_code == exit_code


def test_wrong_credentials(bucket: Bucket) -> None:
    from moto.core.authorization import enable_iam_authentication

    publish_small(bucket.url)
    with enable_iam_authentication():
        result = CliRunner().invoke(main, ["plot", bucket.url])
        assert result.exit_code == 5
        (line,) = result.output.splitlines()
        assert line.startswith(f"Error: {bucket.url} cannot be reached: InvalidAccessKeyId: ")
        assert fail_to_write(bucket.url).exit_code == 6


def test_lost_while_it_is_read(bucket: Bucket) -> None:
    from moto.core.authorization import enable_iam_authentication

    with open_place(bucket.url) as place:
        write_results(place.path, Sweep(seeds=(0,), scales=(1.0,), num_amounts=200, without=("probes/fourier",)))
        place.on_publish()
    sheet = open_results(bucket.url)["made/probes/strange/sheet"]
    with enable_iam_authentication(), pytest.raises(StoreError, match="cannot be reached: InvalidAccessKeyId"):
        sheet.load()


def test_no_bucket(bucket: Bucket) -> None:
    for error, exit_code in ((fail_to_read("s3://none/r.zarr"), 2), (fail_to_write("s3://none/r.zarr"), 6)):
        assert "NoSuchBucket: The specified bucket does not exist" in str(error)
        assert error.exit_code == exit_code


def test_nothing_there(bucket: Bucket) -> None:
    assert str(fail_to_read(bucket.url)) == f"expected a results store, found nothing at {bucket.url}"


def test_something_else_there(bucket: Bucket) -> None:
    bucket.put("of/mine.zarr/zarr.json", b"{}")
    with pytest.raises(UsageError, match="found something else"):
        publish_small(bucket.url)
    assert bucket.object_names() == {"of/mine.zarr/zarr.json"}


def test_another_repository_there(bucket: Bucket) -> None:
    publish_root(bucket, {})
    for error in (fail_to_read(bucket.url), fail_to_write(bucket.url)):
        assert f"found something else at {bucket.url}" in str(error)
        assert error.exit_code == 2


def test_newer_format(bucket: Bucket) -> None:
    publish_root(bucket, {"grokprobe_format": 99})
    for error in (fail_to_read(bucket.url), fail_to_write(bucket.url)):
        assert "has format 99" in str(error)
        assert error.exit_code == 5


def test_without_icechunk(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icechunk", None)
    for error in (fail_to_read(bucket.url), fail_to_write(bucket.url)):
        assert error.exit_code == 2
        assert str(error).endswith("pip install 'grokprobe[icechunk]'")
