"""The processor's name and instructions, from recorded /proc/cpuinfo files."""

from lacewing.hardware.processor import cpu_features, cpu_name

X86 = (
    "processor : 0\nmodel name\t: Intel(R) Xeon(R) Processor\n"
    "flags\t\t: fpu avx avx2 avx512f avx512_bf16 amx_bf16 amx_tile\n\n"
    "processor : 1\nmodel name\t: another\nflags\t: none\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm bf16\n"


def test_x86(lay):
    root = lay({"proc/cpuinfo": X86})
    assert cpu_name(root) == "Intel(R) Xeon(R) Processor"
    assert cpu_features(root) == ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def test_arm_has_neon_and_may_have_bf16(lay):
    assert cpu_features(lay({"proc/cpuinfo": ARM})) == ("neon", "bf16")


def test_a_name_is_found_without_the_file(lay):
    assert cpu_name(lay({}))
