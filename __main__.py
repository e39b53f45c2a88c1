"""Entry point: a bridge on a pipe, the command line on a terminal."""


def main() -> int:
    """Placeholder until the command line lands."""
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
