"""Values that never end when they are taken apart."""

from typing import Any

import pytest
from firn import _core


class Endless:
    def __reduce_ex__(self, protocol: object) -> Any:
        return Endless, (), {"more": [Endless()]}


class Recursive:
    def __reduce_ex__(self, protocol: object) -> Any:
        return Recursive, (Recursive(),)


@pytest.mark.parametrize("cls", [Endless, pytest.param(Recursive, marks=pytest.mark.long)])
def test_new_instances_without_end_are_refused_with_the_cause(cls: type) -> None:
    for _ in range(2):
        with pytest.raises(_core.NotFreezableError, match=f"cannot freeze .*{cls.__name__}") as caught:
            _core.freeze_roots({"rows": [1, cls()]})
        assert caught.value.path.startswith("rows[1]")  # type: ignore[attr-defined]
        assert caught.value.__cause__ is not None
