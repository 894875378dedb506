"""What a job leases of a node; Ray is not needed for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eleatt_bench.launch.ray.cluster import Lease, _unreachable, number_of_bytes


@pytest.mark.parametrize(
    ("size", "expected"),
    [("1", 1 << 20), ("16G", 16 << 30), ("512m", 512 << 20), ("3K", 3 << 10), ("2T", 2 << 40)],
)
def test_sizes_are_slurms(size: str, expected: int) -> None:
    assert number_of_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "G", "1.5G", "-1G", "0", "16GB", "16 G", "1e3"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        number_of_bytes(size)


def test_a_lease_is_told_in_words() -> None:
    assert str(Lease(1, 0, None, 1)) == "1 CPU"
    assert str(Lease(2, 0.5, None, 1)) == "2 CPUs and 0.5 GPU"
    assert str(Lease(8, 2, 16 << 30, 4)) == "8 CPUs, 2 GPUs and 16 GiB of memory"


@given(
    st.integers(1, 64), st.sampled_from([0, 0.25, 0.5, 1, 3]), st.none() | st.integers(1, 1 << 40),
    st.integers(0, 256), st.integers(0, 8), st.integers(0, 1 << 42),
)  # fmt: skip
def test_a_node_has_room_for_as_many_as_fit_together(
    cpus: int, gpus: float, memory: int | None, its_cpus: int, its_gpus: int, its_memory: int
) -> None:
    lease = Lease(cpus, gpus, memory, cpus)
    places = lease.places({"CPU": its_cpus, "GPU": its_gpus, "memory": its_memory})

    def fit(count: int) -> bool:
        in_memory = count * (memory or 0) <= its_memory
        return count * cpus <= its_cpus and count * gpus <= its_gpus and in_memory

    assert fit(places)
    assert not fit(places + 1)
    assert lease.places({}) == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Failure of the server:\nTraceback (most recent call last):\n  File x\nKeyError: 'y'\n",
         "Failure of the server: KeyError: 'y'"),
        ("\nno such host\nmore\n", "no such host"),
        ("", "no reason"),
        ("It ended:", "It ended:"),
    ],
)  # fmt: skip
def test_what_ray_says_is_told_with_its_cause(said: str, told: str) -> None:
    message = str(_unreachable("ray://one:10001", RuntimeError(said)))
    assert message.endswith(f"at launcher.address=ray://one:10001: {told}")
