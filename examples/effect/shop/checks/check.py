"""The shop's known tests of one rule: `check.py CHANGE` asks prices/CHANGE.py what its cases say, from outside of it.

The module runs in a process of its own, told nothing of what is wanted, so it cannot report about itself.
"""

import json
import subprocess
import sys
from pathlib import Path

ANSWER = """
import json, runpy, sys
price = runpy.run_path(sys.argv[1])["price"]
print(json.dumps([price(cents, count) for cents, count in json.loads(sys.argv[2])]))
"""
TIMEOUT_S = 20


def main(change: str) -> int:
    root = Path(__file__).resolve().parent.parent
    cases = json.loads((root / "checks/cases" / f"{change}.json").read_text())
    tolerance = json.loads((root / "checks/settings.json").read_text())["tolerance_cents"]
    module = root / "prices" / f"{change}.py"
    questions = json.dumps([case["order"] for case in cases])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ANSWER, str(module), questions],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    try:
        answers = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        print(f"prices/{change}.py:1: it does not answer: {done.stderr.strip()[-300:]}")
        return 1
    wrong = 0
    for place, case in enumerate(cases):
        answer = answers[place] if isinstance(answers, list) and place < len(answers) else None
        if not isinstance(answer, int) or abs(answer - case["price"]) > tolerance:
            wrong += 1
            print(f"prices/{change}.py:1: {case['rule']}: price{tuple(case['order'])} is {answer}, not {case['price']}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
