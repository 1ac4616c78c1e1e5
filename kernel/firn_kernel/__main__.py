"""Starts the kernel, or installs its kernelspec."""

import signal

# An interrupt that comes while the kernel starts would kill it; children must not inherit an ignored signal.
signal.signal(signal.SIGINT, lambda number, frame: None)

import sys  # noqa: E402


def main() -> int:
    if sys.argv[1:2] == ["install"]:
        from .install import main as install

        return install(sys.argv[2:])
    if len(sys.argv) != 3 or sys.argv[1] != "-f":
        print(
            "usage: python -m firn_kernel -f CONNECTION_FILE\n       python -m firn_kernel install --help",
            file=sys.stderr,
        )
        return 2

    from .later import import_asyncio

    import_asyncio()
    from .kernel import start

    return start(sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
