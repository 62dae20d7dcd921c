"""What a rank says of its work, who is blamed when nothing moves, and a store that falls silent."""

import threading
import time

import pytest
import torch.distributed as dist

from onward.pipeline import PipelineFault, faults
from onward.pipeline.faults import Watch, silent_link
from onward.pipeline.progress_tracker import ProgressTracker


def test_a_piece_of_work_begins_with_each_move_and_after_each_wait():
    work = ProgressTracker()
    assert work.state.doing == "free" and not work.state.waits
    with work.expected():
        time.sleep(0.02)
        assert work.state.doing == "busy" and work.state.seconds >= 0.02
        work.tick()
        assert work.state.doing == "busy" and work.state.seconds < 0.02
        with pytest.raises(KeyError), work.waiting("input 0"):
            time.sleep(0.02)
            assert work.state.doing == "input 0" and work.state.waits
            raise KeyError
        assert work.state.doing == "busy" and work.state.seconds < 0.02
    assert work.state.doing == "free"


def test_it_says_where_its_thread_is():
    work = ProgressTracker()
    found = []
    other = threading.Thread(target=lambda: found.append(work.line_of_code()))

    def waits_here() -> None:
        other.start()
        other.join()

    waits_here()
    assert "threading.py line" in found[0] and not found[0].startswith("nowhere")


@pytest.mark.parametrize(
    ("beats", "named"),
    [
        (["7 9.0 room 1", "8 9.0 input 0"], "from rank 0 to rank 1"),
        (["7 9.0 room 1", "8 9.0 room 2", "9 9.0 input 1", "9 9.0 input 2"], "from rank 1 to rank 2"),
        (["7 9.0 word", "8 9.0 input 0", "9 9.0 input 1"], "from rank 0 to rank 1"),
        (["7 9.0 room 2", "7 9.0 peers", "8 9.0 input 0", "9 9.0 input 1"], "from rank 0 to rank 2"),
        (["7 9.0 word", "7 9.0 peers"], "waited for each other"),
    ],
)
def test_when_all_wait_the_connection_that_brings_nothing_is_named(beats: list[str], named: str):
    found = silent_link(beats, 5.0)
    assert found is not None and named in found


@pytest.mark.parametrize("other", ["8 99.0 busy", "8 99.0 free", "8 4.0 input 0", "0", "done"])
def test_nobody_is_blamed_while_one_works_or_has_just_moved(other: str):
    assert silent_link(["7 9.0 room 1", other], 5.0) is None


def test_a_store_that_does_not_answer_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "BEAT", 0.02)
    monkeypatch.setattr(faults, "LOST_AFTER", 0.2)
    monkeypatch.setattr(faults, "GRACE", 0.05)
    left, silent = threading.Event(), threading.Event()

    class Store(dist.HashStore):  # pyright: ignore[reportPrivateImportUsage]
        def set(self, *words) -> None:
            if silent.is_set():
                threading.Event().wait(2)
            super().set(*words)

    watch = Watch(Store(), 0, 1, "rank 0", lambda fault: left.set())
    watch.start()
    time.sleep(0.3)
    watch.check()
    silent.set()
    assert left.wait(2) and watch.fault is not None and "rank 0 is cut off" in watch.fault
    with pytest.raises(PipelineFault, match="has not answered"):
        watch.check()
    started = time.monotonic()
    assert watch.report("something else") == "something else" and time.monotonic() - started < 1
    silent.clear()
    watch.end()
