"""What the kernel holds of the system's memory."""

import time


def test_memory_that_cells_have_freed_goes_back_to_the_system(new_kernel):
    """Also where some of what lives lies behind it, so that the C library would keep it."""
    kernel = new_kernel()
    assert kernel.run("many = [bytes(1000) for n in range(100_000)]").status == "ok"
    assert kernel.process.memory_info().rss > 100e6
    assert kernel.run("few = many[::1000]\ndel many").status == "ok"
    end = time.monotonic() + 60
    while kernel.process.memory_info().rss > 60e6:
        assert time.monotonic() < end, kernel.process.memory_info()
        time.sleep(0.1)
    assert kernel.run("len(few), set(map(len, few))").result == "(100, {1000})"
