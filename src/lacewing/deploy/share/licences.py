"""The licences that the Hugging Face hub knows by an identifier.

From "Licenses" in the hub's documentation, read in November 2026; the identifiers are those of
SPDX in lower case, but for families such as `bsd`. The terms of other people's networks and
`unknown` are left out: nobody grants anything by them.
"""

from lacewing.errors import ConfigError
from lacewing.values import nearest

OTHER = "other"
"""For terms that the owner writes into the card."""

LICENCES = (
    "apache-2.0", "mit", "openrail", "openrail++", "bigscience-openrail-m",
    "creativeml-openrail-m", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0",
    "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1",
    "lgpl-3.0", "isc", "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl", "osl-3.0", "postgresql",
    "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl", "lgpl-lr", OTHER,
)  # fmt: skip


def find_licence(name: str) -> str:
    """The hub's identifier for a licence, in whatever case it was written. Raises ConfigError."""
    found = name.lower()
    if found in LICENCES:
        return found
    hint = nearest(found, list(LICENCES)) or ": `other` is for terms that you write into the card."
    raise ConfigError(f"The hub has no licence {name!r}{hint}")
