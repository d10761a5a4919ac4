#!/usr/bin/env python3
"""Runs the commands that docs/example-site.md quotes, in its order, and compares what they
print with what it says they print. With UPDATE_GOLDEN=1 the page is rewritten instead.

In a block of the page, a line that begins with "$ " is a command, which goes on in the next
line when it ends with a backslash, "|" or "do"; the lines below it are its output, and a
command that fails has its exit code on a line "(exit N)". Also checks that the page speaks of
each kind of warning."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
PAGE = os.path.join(SOURCE, "docs", "example-site.md")
BLOCK = re.compile(r"^```\n(.*?)^```$", re.M | re.S)


def commands(block):
    """The block as [(command, expected output)]; text before a command is an error."""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif re.search(r"(\\|\||\bdo)\n$", found[-1][0]):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return found


def run(command, folder):
    environment = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], LC_ALL="C")
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    code = f"(exit {done.returncode})\n" if done.returncode else ""
    return done.stdout + code


def unexplained(page, folder):
    """Errors, and warnings of a kind that the page does not speak of."""
    lines = run("pointsman check -c site", folder).splitlines()
    messages = [re.match(r"\S+: (warning|error): .* \[([a-z-]+)\]$", line) for line in lines]
    return [m[0] for m in messages if m and (m[1] == "error" or f"`{m[2]}`" not in page)]


class Report:
    def __init__(self):
        self.number = self.failed = 0

    def case(self, good, name, *details):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}")
        for text in () if good else details:
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")


def main():
    if not shutil.which("openssl"):
        print("1..0 # SKIP there is no openssl to make a certificate")
        return 0
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(SOURCE, "etc"), os.path.join(folder, "etc"))

        def block(match):
            out = ""
            for command, expected in commands(match[1]):
                got = run(command, folder)
                name = command.replace("\\\n", "").strip()
                report.case(got == expected or "UPDATE_GOLDEN" in os.environ,
                            re.sub(r"[\s#]+", " ", name), "expected:", expected, "got:", got,
                            "'make golden' writes the page anew; look at the difference")
                out += "$ " + command + got
            return "```\n" + out + "```"

        made = BLOCK.sub(block, page)
        if "UPDATE_GOLDEN" in os.environ:
            with open(PAGE, "w", encoding="utf-8") as f:
                f.write(made)
        missing = unexplained(made, folder)
        report.case(not missing, "the page explains each warning", *missing)
    report.case(report.number > 20, "there are commands")
    print(f"1..{report.number}")
    return 1 if report.failed else 0


sys.exit(main())
