"""``python -m heedful`` is ``heedful``."""

from __future__ import annotations

from heedful.cli.main import main

if __name__ == "__main__":
    main()
