"""Write docs/tiers.md, the table of the tiers, from performance_config.py.

python docs/make_tiers.py
"""

from dataclasses import fields
from pathlib import Path

from lacewing.performance_config import HIGH_FROM_BYTES, MID_FROM_BYTES, TIERS, Tier
from lacewing.values import format_bytes

PAGE = Path(__file__).resolve().parent / "tiers.md"
HEAD = f"""\
# The tiers

<!-- Written by docs/make_tiers.py. A test fails when it is not current. -->

A tier is a class of hardware. It gives bounds and a safe start; rules and measurements choose
inside them.

| tier | taken by |
|---|---|
| high | a GPU with {format_bytes(HIGH_FROM_BYTES)} or more |
| mid | a GPU with {format_bytes(MID_FROM_BYTES)} or more, and less than that |
| low | a smaller GPU |
| directml | any device under DirectML, whose memory can't be asked |
| cpu | no GPU |

A card sold as 8 GB that reports a little less counts as one. A Mac's GPU takes the tier of the
memory that the system recommends for it.

"""
TAIL = """
Of `image_sizes` the first is taken; the others fit the tier too, for `--image-size`. `compile` says
whether torch.compile may be tried: it is taken where it is [measured](measured-plan.md) to pay.
On a CPU, a quarter of the cores decode, up to `workers`, as long as the batches that they make ahead
take no more than a tenth of the memory that the run may take. A GPU that computes in the machine's
RAM, as a Mac's does, takes its share of what the quarter for decoded images leaves there.

The table is data in `src/lacewing/performance_config.py`. To change single values for one
run, write a TOML file and give it with `--tiers FILE`:

```toml
[low]
batch_share = [0.5, 0.8]
image_sizes = [160]
```
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page, Markdown."""
    head = [f"| | {' | '.join(TIERS)} |", f"|---|{'---|' * len(TIERS)}"]
    rows = [
        f"| `{field.name}` | {' | '.join(cell(tier, field.name) for tier in TIERS.values())} |"
        for field in fields(Tier)
    ]
    return HEAD + "\n".join([*head, *rows]) + "\n" + TAIL


def cell(tier: Tier, name: str) -> str:
    """One value as people write it."""
    value = getattr(tier, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(f"{one:g}" for one in value)
    return f"{value:g}"


if __name__ == "__main__":
    main()
