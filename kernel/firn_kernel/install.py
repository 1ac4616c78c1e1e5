"""`python -m firn_kernel install`: puts a kernelspec for this Python where Jupyter finds it."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LOGOS = ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg")


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    from jupyter_client.kernelspec import KernelSpecManager

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        _write(source, options.display_name, dict(options.env))
        prefix = sys.prefix if options.sys_prefix else options.prefix
        try:
            place = KernelSpecManager().install_kernel_spec(
                folder, kernel_name=options.name, user=options.user, prefix=prefix
            )
        except (OSError, ValueError) as error:
            print(f"firn_kernel install: {error}. --user installs for you alone.", file=sys.stderr)
            return 1
    print(f"The kernel '{options.display_name}' is installed in {place}")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m firn_kernel install",
        description="Installs a Jupyter kernelspec that runs firn with this Python. "
        "Without a place, for everybody on this machine.",
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for you alone")
    place.add_argument("--sys-prefix", action="store_true", help=f"in this environment: {sys.prefix}")
    place.add_argument("--prefix", help="below another directory")
    parser.add_argument("--name", default="firn", help="the kernelspec's name (default: firn)")
    parser.add_argument("--display-name", default="firn (Python)", help="what front ends show (default: firn (Python))")
    parser.add_argument(
        "--env",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help="an environment variable of the kernel; may be repeated",
    )
    return parser.parse_args(arguments)


def _write(folder: Path, display_name: str, environment: dict[str, str]) -> None:
    origin = _kernelspec()
    spec = json.loads((origin / "kernel.json").read_text())
    spec["argv"][0] = sys.executable
    spec["display_name"] = display_name
    if environment:
        spec["env"] = environment
    (folder / "kernel.json").write_text(json.dumps(spec, indent=2) + "\n")
    for logo in LOGOS:
        shutil.copy(origin / logo, folder / logo)


def _kernelspec() -> Path:
    """The kernelspec that was installed with the package: below sys.prefix, or beside it (`pip install --target`)."""
    below = Path("share", "jupyter", "kernels", "firn")
    site = Path(__file__).resolve().parents[1]
    for root in (site, Path(sys.prefix), *site.parents):
        if (root / below / "kernel.json").exists():
            return root / below
    raise SystemExit(f"firn_kernel install: {below} is missing below {sys.prefix}; reinstall firn")
