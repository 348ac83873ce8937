"""`python -m cli.engine` finds or builds the engine; the Makefile's set-up runs it."""

from __future__ import annotations

import sys

from cli import engine, render
from infra.errors import FirstbellError


def main() -> int:
    try:
        with render.step("Pulumi engine") as progress:
            found = engine.find_or_build(progress)
    except FirstbellError as failure:
        render.error(failure, as_json=False)
        return failure.exit_code
    except KeyboardInterrupt:
        render.note("interrupted; run the same again, what was fetched and compiled is kept")
        return 130
    render.text(f"Pulumi engine {found.version}: {found.how}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
