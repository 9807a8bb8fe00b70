"""Makes the files of the digits that ship: `python -m systolith.scripts.training.embed_digits DIR`.

`DIR` holds the four MNIST files. The test digits and the last 5,000 training digits are written,
gzipped, to `golden/assets` of the source tree in the current folder.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from systolith.golden.files.datasets import embed_digits

TARGET = Path("golden", "assets")


def main(arguments: Sequence[str]) -> int:
    """Write the files and print their paths; 2 if that fails."""
    if len(arguments) != 1:
        sys.stderr.write("embed_digits: takes one argument, the folder of the MNIST files\n")
        return 2
    try:
        written = embed_digits(arguments[0], TARGET)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"embed_digits: {error}\n")
        return 2
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
