"""Criteria: one file each, and one entry in `CRITERIA`."""

from collections.abc import Mapping

from ristretto.search.criteria.base import Criterion
from ristretto.search.criteria.output_error import OutputError
from ristretto.search.criteria.saturation import Saturation
from ristretto.search.criteria.squared_error import SquaredError

CRITERIA: Mapping[str, Criterion] = {
    criterion.name: criterion for criterion in (Saturation(), SquaredError(), OutputError())
}
"""Every criterion that formats can be chosen by, by name."""

AUTO = "auto"
"""What a preset does by itself."""

FORMATS_BY = (AUTO, *CRITERIA)
"""What a user may ask for."""

__all__ = ["AUTO", "CRITERIA", "FORMATS_BY", "Criterion"]
