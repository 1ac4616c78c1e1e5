"""One command for each figure that README states: firn next to the alternative, in one run, as a ratio.

`python -m bench` runs them all and writes build/bench.json; `python -m bench freeze memory` runs those two.
"""
