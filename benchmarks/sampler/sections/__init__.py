# SPDX-License-Identifier: MIT
"""The sections of the comparison, in the order of the README."""

from __future__ import annotations

from sampler.sections.base import Section
from sampler.sections.bias import Bias
from sampler.sections.cost import Cost
from sampler.sections.fine_grain import FineGrain
from sampler.sections.impossible import Impossible
from sampler.sections.real_programs import RealPrograms

SECTIONS: dict[str, Section] = {section.name: section for section in (Impossible(), Bias(), FineGrain(), Cost(), RealPrograms())}
