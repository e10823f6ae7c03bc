"""python -m isthmus.providers.local.tiny [DIRECTORY]: build the tiny image, by default into the shared cache."""

import sys
from pathlib import Path

from isthmus.providers.local.tiny import BuildError, build, cached, preferred


def main(arguments: list[str]) -> int:
    which = preferred()
    target = Path(arguments[0]) if arguments else cached(which)
    try:
        built = build(target, lambda step: print(f"tiny image: {step}", file=sys.stderr, flush=True), which)
    except (BuildError, OSError) as error:
        print(f"tiny image: {error}", file=sys.stderr)
        return 1
    print(built.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
