"""A figure is printed with the machine that it was measured on."""

from __future__ import annotations

from benchmarks.contract import instruction_sets, machine

X86 = "processor\t: 0\nmodel name\t: A processor\nflags\t\t: fpu avx2 avx512_vnni amx_tile\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm sve\n"


def test_the_instruction_sets_are_those_of_the_processor() -> None:
    assert instruction_sets(X86) == ["avx2", "avx512_vnni", "amx_tile"]
    assert instruction_sets(ARM) == ["asimd", "bf16", "i8mm", "sve"]
    assert instruction_sets("") == []


def test_the_machine_is_named_with_them() -> None:
    assert isinstance(machine()["instruction_sets"], list)
