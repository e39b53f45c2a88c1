"""The demo's project: a small shop, its tests, its pipeline, and what the scripted agents make of it."""

from collections.abc import Mapping

TITLE = "Let customers redeem a voucher"
INTENT = "A voucher lowers what an order costs. What orders without a voucher cost must stay as it is."

PLAN_PATH = "docs/changes/{change}.md"
CODE_PATH = "shop/prices.py"
TESTS_PATH = "tests/test_prices.py"
VOUCHER_TESTS_PATH = "tests/test_vouchers.py"
REPORT = "test-report.xml"

# Short, because the demo waits for it to run out once.
LEASE_S = 2

PIPELINE = f"""\
version: 1
target: main
limits: {{lease: {LEASE_S}s, gate: 1m}}

stages:
  plan:
    goal: Say what will change and how it will be checked, as numbered requirements.
    writes: ["docs/changes/{{change}}.md"]
    gates:
      - document: {{path: "docs/changes/{{change}}.md", sections: [Goal, Requirements]}}
  code:
    needs: [plan]
    goal: Make the change with its tests.
    gates:
      - compile
      - ruff
      - test: {{run: "python3 run_tests.py {REPORT}", report: {REPORT}}}

land: {{needs: [code], strategy: merge}}
"""

# The demo needs nothing that is not installed with gatewright, so the shop's tests are those of the standard library.
RUN_TESTS = '''\
"""Run the tests in tests/ and write a JUnit report: python3 run_tests.py REPORT."""

import sys
import traceback
import unittest
from pathlib import Path
from xml.etree import ElementTree


class Reporting(unittest.TextTestResult):
    def startTestRun(self):
        self.report = ElementTree.Element("testsuite", name="shop")

    def startTest(self, test):
        super().startTest(test)
        _, owner, name = test.id().rsplit(".", 2)
        self.case = ElementTree.SubElement(self.report, "testcase", classname=owner, name=name)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.tell("failure", error)

    def addError(self, test, error):
        super().addError(test, error)
        self.tell("error", error)

    def tell(self, kind, error):
        here = [f for f in traceback.extract_tb(error[2]) if Path(f.filename).is_relative_to(Path.cwd())]
        self.case.set("file", str(Path(here[-1].filename).relative_to(Path.cwd())))
        self.case.set("line", str(here[-1].lineno))
        ElementTree.SubElement(self.case, kind, message=f"{error[0].__name__}: {error[1]}")


report = Path(sys.argv[1])
report.touch()
tests = unittest.defaultTestLoader.discover("tests")
result = unittest.TextTestRunner(resultclass=Reporting).run(tests)
report.write_bytes(ElementTree.tostring(result.report))
sys.exit(not result.wasSuccessful())
'''

_PRICES = '''\
"""What an order costs, in cents."""

SHIPPING = 490
FREE_FROM = 5000


def total(prices):
    """The goods, and shipping for small orders."""
    goods = sum(prices)
    return goods if goods >= FREE_FROM else goods + SHIPPING
'''

TESTS = """\
import unittest

from shop.prices import total


class TotalTest(unittest.TestCase):
    def test_small_orders_pay_shipping(self):
        self.assertEqual(total([1000]), 1490)

    def test_large_orders_ship_free(self):
        self.assertEqual(total([3000, 2000]), 5000)
"""

FILES: Mapping[str, str] = {
    "gatewright.yaml": PIPELINE,
    "run_tests.py": RUN_TESTS,
    CODE_PATH: _PRICES,
    TESTS_PATH: TESTS,
}

PLAN = """\
# Goal

Customers can redeem a voucher.

# Requirements

- R1: `total(prices, voucher)` is lower by the voucher, and never below zero.
- R2: Orders without a voucher cost what they cost before.
"""

RIGHT_CODE = '''\
"""What an order costs, in cents."""

SHIPPING = 490
FREE_FROM = 5000


def total(prices, voucher=0):
    """The goods, and shipping for small orders, less the voucher."""
    goods = sum(prices)
    shipping = 0 if goods >= FREE_FROM else SHIPPING
    return max(0, goods + shipping - voucher)
'''

# Off by one: an order of exactly 50.00 would pay for shipping.
WRONG_CODE = RIGHT_CODE.replace("goods >= FREE_FROM", "goods > FREE_FROM")

EXPECTED = "total([3000, 2000]), 5000)"
EXPECTED_INSTEAD = "total([3000, 2000]), 5490)"
CHANGED_TESTS = TESTS.replace(EXPECTED, EXPECTED_INSTEAD)

# It takes a second, so that there is a gate in the middle of which a server can be killed.
VOUCHER_TESTS = """\
import time
import unittest

from shop.prices import total


class VoucherTest(unittest.TestCase):
    def test_a_voucher_lowers_the_total(self):
        self.assertEqual(total([6000], voucher=500), 5500)

    def test_nobody_is_paid_for_an_order(self):
        self.assertEqual(total([100], voucher=9000), 0)

    def test_many_orders(self):
        time.sleep(1)
        self.assertEqual([total([cents], voucher=cents) for cents in range(1000)], [490] * 1000)
"""
