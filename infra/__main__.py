"""The Pulumi program: settings, composition, outputs."""

import pulumi

from infra.composition import compose, configured
from infra.errors import FirstbellError

try:
    platform = compose(configured())
except FirstbellError as error:
    raise pulumi.RunError(str(error)) from error
for name, value in platform.outputs.items():
    pulumi.export(name, value)
