"""How much of a machine the embedded PostgreSQL takes."""

from pathlib import Path

import pytest

from deploy.embedded.postgres import GB, MB, machine_memory, max_wal, shared_buffers


@pytest.mark.parametrize(("memory", "buffers"), [(GB, 128 * MB), (4 * GB, 256 * MB), (16 * GB, GB), (512 * GB, GB)])
def test_page_cache_is_a_sixteenth_of_the_memory_within_bounds(memory: int, buffers: int) -> None:
    assert shared_buffers(memory) == buffers


@pytest.mark.parametrize(("free", "wal"), [(0, 256 * MB), (3 * GB, 1536 * MB), (8 * GB, 4 * GB), (900 * GB, 4 * GB)])
def test_log_grows_to_four_gigabytes_but_never_over_half_of_the_free_disk(free: int, wal: int) -> None:
    assert max_wal(free) == wal


def test_memory_of_a_container_counts_where_it_is_less(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    whole = machine_memory(limit)
    for said, memory in {"max\n": whole, f"{256 * MB}\n": 256 * MB, f"{whole * 2}\n": whole}.items():
        limit.write_text(said)
        assert machine_memory(limit) == memory
