"""Runs inside the virtual environment of the suite: classes of tests come in by their names, results go out as JSON.

`tempest_worker.py list` prints all tests; without a word, each line on standard input is a class to run, and each line
on standard output is what came of it: {test: [outcome, reason]}. TEST_CONFIG names the suite's settings.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
import unittest
from collections.abc import Iterator

import testtools
from oslo_config import cfg

AMAZONS = (
    "api.test_volumes.VolumeTest.test_create_delete_volume",
    "api.test_volumes.VolumeTest.test_describe_volumes",
)
"""With `run_incompatible_tests` these demand what is not so on Amazon's cloud: they run as they would run there."""
PACKAGE = "ec2api_tempest_plugin"


def run_what_is_skipped_for_good() -> None:
    """The suite skips some of its tests always, as flaky on the cloud it was written for: here they run."""
    testtools.skip = lambda reason: lambda test: test


class Result(unittest.TestResult):
    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        cfg.CONF.set_override("run_incompatible_tests", name(test) not in AMAZONS, group="aws")
        super().startTest(test)


def name(test: unittest.TestCase) -> str:
    """A test's name in short: without the package and its tags."""
    return test.id().partition("[")[0].removeprefix(f"{PACKAGE}.")


def every(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from every(one)
        else:
            yield one


def listed() -> list[str]:
    package = importlib.import_module(PACKAGE)
    modules = [one.name for one in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.") if ".test_" in one.name]
    return sorted(name(test) for test in every(unittest.defaultTestLoader.loadTestsFromNames(modules)))


def run(case: str) -> dict[str, tuple[str, str]]:
    """What came of each test of a class; of all of them, where the class could not be set up."""
    suite = unittest.defaultTestLoader.loadTestsFromName(f"{PACKAGE}.{case}")
    names = [name(test) for test in every(suite)]
    result = Result()
    suite.run(result)
    outcomes = dict.fromkeys(names, ("passed", ""))
    for outcome, found in (("failed", result.failures + result.errors), ("skipped", result.skipped)):
        for test, why in found:
            whole_class = test.id().startswith(("setUpClass", "tearDownClass"))
            outcomes.update(dict.fromkeys(names if whole_class else [name(test)], (outcome, why)))
    return outcomes


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what tests print is no answer
    run_what_is_skipped_for_good()
    if sys.argv[1:] == ["list"]:
        answers.write("\n".join(listed()))
        return
    for line in sys.stdin:
        answers.write(json.dumps(run(line.strip())) + "\n")


if __name__ == "__main__":
    main()
