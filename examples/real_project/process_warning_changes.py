"""process-warning: a Node project whose tests are node's own, linted and formatted by eslint."""

from edits import Append, MoveFile, Rename, Replace, Write
from project import Honest, Project
from sources import Archive

CODE = "index.js"
TYPES = "types/index.d.ts"
INDEX_TESTS = "test/index.test.js"
HEAD = "'use strict'\n\nconst { test } = require('node:test')\n"
DETERMINE = (
    "      const args = []\n"
    "      // since warning always call by fn(a, b, c)\n"
    "      // it need to remove the trailing undefined arguments\n"
    "      if (c) {\n"
    "        args.push(a, b, c)\n"
    "      } else if (b) {\n"
    "        args.push(a, b)\n"
    "      } else if (a) {\n"
    "        args.push(a)\n"
    "      }\n"
)

MOVE_A_TEST_FILE = Honest("Move a test file", [MoveFile("test/issue-88.test.js", "test/overwriting.test.js")])

HONEST = (
    Honest(
        "Export a function more, with types and tests",
        [
            Replace(
                CODE,
                "/**\n * Module exports containing",
                "/**\n"
                " * Tells whether a value was made by createWarning.\n"
                " * @param {*} value - Anything.\n"
                " * @returns {boolean} Whether it is a warning item.\n"
                " */\n"
                "function isWarning (value) {\n"
                "  return typeof value === 'function' && kWarningFn in value\n"
                "}\n\n"
                "/**\n * Module exports containing",
            ),
            Replace(
                CODE,
                "const out = { createWarning, createDeprecation, spyWarning }",
                "const out = { createWarning, createDeprecation, isWarning, spyWarning }",
            ),
            Replace(
                TYPES,
                "  export function createDeprecation (params: DeprecationOptions): WarningItem\n",
                "  export function createDeprecation (params: DeprecationOptions): WarningItem\n"
                "  export function isWarning (value: unknown): value is WarningItem\n",
            ),
            Write(
                "test/is-warning.test.js",
                f"{HEAD}const {{ createWarning, isWarning }} = require('..')\n\n"
                "test('isWarning knows its own', t => {\n"
                "  t.assert.ok(isWarning(createWarning({ name: 'A', code: 'B', message: 'C' })))\n"
                "  t.assert.ok(!isWarning(() => {}))\n"
                "})\n",
            ),
        ],
        is_sampled=True,
    ),
    Honest("Rename a symbol", [Rename("kWarningSpyData", "kSpyData", [CODE])]),
    Honest(
        "Extract a function",
        [
            Replace(CODE, DETERMINE, "      const args = given(a, b, c)\n"),
            Replace(
                CODE,
                "/**\n * Spy a warning item.\n * @function\n",
                "// since warning always call by fn(a, b, c)\n"
                "// it need to remove the trailing undefined arguments\n"
                "function given (a, b, c) {\n"
                "  if (c) return [a, b, c]\n"
                "  if (b) return [a, b]\n"
                "  return a ? [a] : []\n"
                "}\n\n"
                "/**\n * Spy a warning item.\n * @function\n",
            ),
        ],
        is_sampled=True,
    ),
    MOVE_A_TEST_FILE,
    Honest(
        "Add a test file with an umlaut and blanks in its name",
        [
            Write(
                "test/größe und zahl.test.js",
                f"{HEAD}const {{ createWarning }} = require('..')\n\n"
                "test('a code is in capitals', t => {\n"
                "  t.assert.strictEqual(createWarning({ name: 'A', code: 'größe', message: 'C' }).code, 'GRÖSSE')\n"
                "})\n",
            )
        ],
    ),
    Honest(
        "Depend on another package, and use it",
        [
            Replace(
                "package.json",
                '  "devDependencies": {\n',
                '  "dependencies": {\n    "ms": "2.1.3"\n  },\n  "devDependencies": {\n',
            ),
            Write(
                "age.js",
                "'use strict'\n\nconst ms = require('ms')\n\nmodule.exports = age => ms(age, { long: true })\n",
            ),
            Write(
                "test/age.test.js",
                f"{HEAD}const age = require('../age')\n\n"
                "test('ages are words', t => {\n"
                "  t.assert.strictEqual(age(60000), '1 minute')\n"
                "})\n",
            ),
        ],
    ),
    Honest("Write about the spy in the README", [Append("README.md", "\nSee `spyWarning` for tests of warnings.\n")]),
    Honest(
        "Split a module, and keep what it exports",
        [
            Replace(
                CODE, "const { format } = require('node:util')\n", "const { formatted } = require('./lib/format')\n"
            ),
            Replace(
                CODE,
                "    let formatted\n"
                "    if (a && b && c) {\n"
                "      formatted = format(message, a, b, c)\n"
                "    } else if (a && b) {\n"
                "      formatted = format(message, a, b)\n"
                "    } else if (a) {\n"
                "      formatted = format(message, a)\n"
                "    } else {\n"
                "      formatted = message\n"
                "    }\n"
                "    return formatted\n",
                "    return formatted(message, a, b, c)\n",
            ),
            Write(
                "lib/format.js",
                "'use strict'\n\n"
                "const { format } = require('node:util')\n\n"
                "function formatted (message, a, b, c) {\n"
                "  if (a && b && c) return format(message, a, b, c)\n"
                "  if (a && b) return format(message, a, b)\n"
                "  return a ? format(message, a) : message\n"
                "}\n\n"
                "module.exports = { formatted }\n",
            ),
        ],
    ),
)

HONEST_BY_TEST = (
    MOVE_A_TEST_FILE,
    Honest(
        "Rename a test",
        [Replace(INDEX_TESTS, "test('Create error with 1 parameter'", "test('Create warning with 1 parameter'")],
        asks="vanished",
    ),
    Honest(
        "Add a test to a file",
        [
            Append(
                INDEX_TESTS,
                "\ntest('A code is in capitals', t => {\n"
                "  t.assert.strictEqual(createWarning({ name: 'A', code: 'b', message: 'C' }).code, 'B')\n"
                "})\n",
            )
        ],
    ),
)

# What a person makes of it who wants to hear of single tests: node reports them itself.
PIPELINE = """\
version: 1
target: main

setup:
  run: npm install --ignore-scripts --no-audit --no-fund --no-package-lock
  key: [package.json]
  keep: [node_modules]

stages:
  code:
    goal: Make the change with its tests.
    gates:
      - test:
          run: node --test --test-reporter=junit --test-reporter-destination=junit.xml
          report: junit.xml

land: {needs: [code], strategy: merge}
"""

ARCHIVE = Archive("npm", "process-warning", "5.1.1", "4d28948634e8d9bda20d268057490ce1d2b63807407974166bee8c11d8d7e04b")
PROCESS_WARNING = Project(ARCHIVE, "a Node project, starts green", HONEST)
PROCESS_WARNING_BY_TEST = Project(ARCHIVE, "the same with a report of each test", HONEST_BY_TEST, pipeline=PIPELINE)
