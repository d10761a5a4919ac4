#!/usr/bin/env python3
"""The three formats of `pointsman check` over every configuration of test/config/bad:
JSON and SARIF are well-formed, have the members the manual names and no others, and say
what the text says. Output is TAP."""
import glob
import json
import os
import re
import subprocess
import tempfile

TOOL = os.path.abspath(os.path.join(os.environ.get("top_builddir", "."), "pointsman"))
TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
PLACE = ["file", "line", "column"]
results = []


def result(name, good, shown=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    if not good:
        print(f"# {shown!r}")


def check(config, *options):
    run = subprocess.run([TOOL, "check", "-c", config, *options], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    return run.stdout.decode("utf-8", "strict"), run.returncode


def fault_in_object(m):
    """What is wrong with one JSON object, or None."""
    if list(m) != PLACE + ["end_column", "severity", "slug", "text", "notes"]:
        return "members"
    if m["severity"] not in ("error", "warning") or not re.fullmatch("[a-z-]+", m["slug"]):
        return "severity or slug"
    if (m["file"] is None) != (m["line"] is None) or (m["line"] is None) != (
            m["column"] is None) or (m["column"] is None) != (m["end_column"] is None):
        return "half a place"
    if m["line"] is not None and not 1 <= m["column"] <= m["end_column"]:
        return "columns"
    if any(list(n) != PLACE + ["text"] for n in m["notes"]):
        return "members of a note"
    return None


def head(m):
    """The first line of a message as text."""
    place = "" if m["file"] is None else f"{m['file']}:{m['line']}:{m['column']}: "
    return f"{place}{m['severity']}: {m['text']} [{m['slug']}]"


def fault_in_json(config, text, code):
    out, json_code = check(config, "--format=json")
    *messages, last = [json.loads(line) for line in out.splitlines()]
    faults = [f for f in map(fault_in_object, messages) if f]
    if faults or json_code != code or check(config, "--json")[0] != out:
        return faults, json_code
    counts = {s: sum(m["severity"] == s for m in messages) for s in ("error", "warning")}
    if last != {"errors": counts["error"], "warnings": counts["warning"]}:
        return last
    heads = [line for line in text.splitlines()
             if re.search(r"(^|: )(error|warning): .*\[[a-z-]+\]$", line)]
    told = [re.sub(r"[\x00-\x1f\x7f]|[^\x00-\x7f]", "?", head(m)) for m in messages]
    heads = [re.sub(r"[^\x00-\x7f]", "?", line) for line in heads]
    return None if heads == told else (heads, told)


def fault_in_location(location):
    if not set(location) <= {"id", "physicalLocation", "message"}:
        return "members of a location"
    physical = location.get("physicalLocation")
    if physical is None:
        return None
    region = physical["region"]
    uri = physical["artifactLocation"]["uri"]
    if set(region) != {"startLine", "startColumn", "endColumn"} or min(region.values()) < 1:
        return "region"
    if region["endColumn"] < region["startColumn"]:
        return "columns"
    return None if re.fullmatch(r"[A-Za-z0-9._~/:%-]+", uri) else uri


def fault_in_sarif(config, count, code):
    out, sarif_code = check(config, "--format=sarif")
    log = json.loads(out)
    if list(log) != ["$schema", "version", "runs"] or log["version"] != "2.1.0":
        return "the log"
    run, = log["runs"]
    if set(run) != {"tool", "columnKind", "results"} or list(run["tool"]) != ["driver"]:
        return "the run"
    rules = run["tool"]["driver"]["rules"]
    for r in run["results"]:
        if not set(r) <= {"ruleId", "ruleIndex", "level", "message", "locations",
                          "relatedLocations"}:
            return "members of a result"
        if rules[r["ruleIndex"]]["id"] != r["ruleId"] or r["level"] not in ("error",
                                                                          "warning"):
            return r
        for location in r.get("locations", []) + r.get("relatedLocations", []):
            fault = fault_in_location(location)
            if fault:
                return fault
    return None if (len(run["results"]), sarif_code) == (count, code) else len(run["results"])


for config in sorted(glob.glob(f"{TOP}/test/config/bad/*")):
    if config.endswith(".err") or config.endswith(".out"):
        continue
    name = os.path.basename(config)
    text, code = check(config)
    fault = fault_in_json(config, text, code)
    result(f"{name}: JSON", fault is None, fault)
    count = len(check(config, "--json")[0].splitlines()) - 1
    fault = fault_in_sarif(config, count, code)
    result(f"{name}: SARIF", fault is None, fault)

rules = json.loads(check(f"{TOP}/test/config/bad/quote.cnf", "--format=sarif")[0])
rules = rules["runs"][0]["tool"]["driver"]["rules"]
result("every rule has its text", all(r["help"]["text"] and r["shortDescription"]["text"]
                                      for r in rules), rules)

short = {r["id"]: r["shortDescription"]["text"] for r in rules}
result("its first sentence is short", short["bad-domain"] ==
       "A line of localdomains is no domain." and short["tls-no-profile"] ==
       "An option of tls.cnf stands before any section.", short)

with tempfile.TemporaryDirectory() as work:
    # Characters, not bytes; a name that must be quoted; a file outside of the folder.
    main = os.path.join(work, "my site.cnf")
    with open(main, "w", encoding="utf-8") as f:
        f.write("\nl\nhere.test\n\ntcp_x smtp \"gr\u00fc\u00dfe\" port 0\ntcp-x\n"
                f"<{work}/else/where.inc\n")
    os.mkdir(f"{work}/else")
    os.mkdir(f"{work}/site")
    with open(f"{work}/else/where.inc", "w", encoding="utf-8") as f:
        f.write("\ntcp_y smtp port 0\ntcp-y\n")
    log = json.loads(check(main, "--format=sarif", "--silence=unknown-keyword")[0])
    first, second = log["runs"][0]["results"]
    result("columns are characters",
           first["locations"][0]["physicalLocation"]["region"] ==
           {"startLine": 5, "startColumn": 25, "endColumn": 26}, first)
    result("a blank in a name",
           first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] ==
           "my%20site.cnf", first)
    result("the include chain is related", [r["message"]["text"] for r in
                                            second["relatedLocations"]] ==
           ["included from here"], second)
    os.rename(main, f"{work}/site/pmdf.cnf")
    out = check(f"{work}/site", "--json", "--silence=unknown-keyword")[0].splitlines()
    result("a file outside of the folder has its whole name",
           json.loads(out[1])["file"] == f"{work}/else/where.inc", out)
    log = json.loads(check(f"{work}/site", "--format=sarif")[0])
    uri = log["runs"][0]["results"][-1]["locations"][0]["physicalLocation"]
    result("as an absolute URI",
           uri["artifactLocation"]["uri"] == f"file://{work}/else/where.inc", uri)

    # The first N errors with the warnings before them; the counts stay whole.
    with open(main, "w", encoding="utf-8") as f:
        f.write("\nl\nhere.test\n\n")
        f.writelines(f"tcp_{i} smtp nonsense{i} port 0\ntcp-{i}\n\n" for i in range(5))
    *messages, last = map(json.loads, check(main, "--json", "--max-errors=2")[0].splitlines())
    result("two errors, two warnings", [m["severity"] for m in messages] ==
           ["warning", "error", "warning", "error"], messages)
    result("all are counted", last == {"errors": 5, "warnings": 5}, last)
    text = check(main, "--max-errors", "2")[0]
    result("what is left out is told",
           "3 more errors and 3 more warnings are not shown (--max-errors 2)\n"
           "5 errors, 5 warnings in 1 file" in text, text)
    text, code = check(main, "--silence", "unknown-keyword,no-effect", "--max-errors", "5")
    result("silenced warnings are gone", "5 errors, 0 warnings" in text and
           "not shown" not in text and "nonsense" not in text.split("port")[0], text)

    # No limit: every one of many is told; quickly, also when passes jump about.
    with open(main, "w", encoding="utf-8") as f:
        f.writelines(f"h{i}.test $U%h{i}.test@nowhere\n" for i in range(20000))
        f.write("\nl\nhere.test\n\n")
        f.writelines(f"tcp_{i} smtp nonsense port 0\ntcp-{i}\n\n" for i in range(20000))
    out = check(main, "--json")[0].splitlines()
    result("there is no limit by default",
           json.loads(out[-1]) == {"errors": 20000, "warnings": 40000} and
           len(out) == 60001, out[-1])
    lines = [json.loads(line)["line"] for line in out[:-1]]
    result("in file order", lines == sorted(lines))

    with open(main, "w", encoding="utf-8") as f:
        f.write("\nl\nhere.test\n\ntcp_x smtp nonsense\nx.test\n")
    result("a warning fails under --strict", check(main, "--strict")[1] == 1)
    result("a silenced one does not",
           check(main, "--strict", "--silence", "no-effect", "--silence=unknown-keyword")[1]
           == 0)
    text, code = check(main, "--silence=unknown-keywrod", "--silence=quote")
    result("what cannot be silenced is told",
           "did you mean 'unknown-keyword'? [unknown-slug]" in text and
           "[silenced-error]" in text and code == 0, text)

for options in (["--format=xml"], ["--max-errors=0"], ["--max-errors=many"],
                ["--silence"] + ["x"] + ["--silence=x"] * 64):
    out, code = check(f"{TOP}/test/config/bad/quote.cnf", *options)
    result(f"{options[0]}: refused", (out, code) == ("", 2), out)

print(f"1..{len(results)}")
raise SystemExit(0 if all(results) else 1)
