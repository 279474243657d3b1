#!/usr/bin/env python3
"""Runs a collection of fault folders and compares what comes out with what is expected.

    scripts/faults.py FOLDER [NAME...] [--program target/release/sideband]

FOLDER has a folder a fault: README.md ("Kind: ..."), run.sh, and what that needs. Each is
copied to a temporary folder and run there, with the program first on PATH; run.sh needs
python3 with numpy, pyarrow, pandas (and pyhf 0.7.6 where there is a check.py). What must
come out is in the table EXPECTED below: texts that must and must not be in the output, or
a look at the files. Prints a table and ends with 1 if a fault is there.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

LIMIT_SECONDS = 240


def has(*patterns):
    """All patterns are found in the output."""

    def check(output, _):
        missing = [p for p in patterns if not re.search(p, output, re.M | re.I)]
        return "lacks " + ", ".join(missing) if missing else None

    return check


def equal(one, other):
    """Two files have the same bytes, or neither is there."""

    def check(_, folder):
        found = [p.read_bytes() if p.is_file() else None for p in (folder / one, folder / other)]
        return None if found[0] == found[1] else f"{one} is not {other}"

    return check


def lacks(*patterns):
    """None of the patterns is found in the output."""

    def check(output, _):
        found = [p for p in patterns if re.search(p, output, re.M)]
        return "has " + ", ".join(found) if found else None

    return check


def either(*checks):
    """One of the checks holds."""

    def check(output, folder):
        reasons = [c(output, folder) for c in checks]
        return None if None in reasons else " and ".join(reasons)

    return check


def fixed(name):
    """The workspace says that a parameter does not float."""

    def check(_, folder):
        text = (folder / "out/workspace.json").read_text()
        parameters = json.loads(text)["measurements"][0]["config"]["parameters"]
        own = [p for p in parameters if p["name"] == name]
        return None if own and own[0].get("fixed") else f"{name} floats in workspace.json"

    return check


def lists(output):
    """Lists of numbers in the output, `[1 2]` or `[1, 2]`, but for what the program says."""
    own = [line for line in output.splitlines() if not re.match(r"(note|check|closes) ", line)]
    found = re.findall(r"\[([-0-9.e+, ]+[-0-9.e+])\]", "\n".join(own))
    return [[float(x) for x in text.replace(",", " ").split()] for text in found]


def pairs_equal(output, _):
    """Lists come in pairs that are equal."""
    found = lists(output)
    if len(found) < 2 or len(found) % 2:
        return f"{len(found)} lists"
    for one, other in zip(found[::2], found[1::2]):
        if len(one) != len(other) or any(abs(a - b) > 0.011 for a, b in zip(one, other)):
            return f"{one} is not {other}"
    return None


def whole_yield(output, _):
    """Templates add up to the yield of the region."""
    rows = re.findall(r"^\w+ ([0-9.]+) yield of the region ([0-9.]+)", output, re.M)
    bad = [row for row in rows if abs(float(row[0]) - float(row[1])) > 1e-6 * float(row[1])]
    return None if rows and not bad else f"{bad or 'no yields'}"


def blocks(output):
    """Rows of a comparison: edges and relative errors by (row, distribution)."""
    found, key = {}, None
    for line in output.splitlines():
        if match := re.match(r"(\w+) (\S+) edges (\[.*\])", line):
            key = match.group(1), match.group(2)
            found[key] = {"edges": json.loads(match.group(3))}
        elif key and (match := re.match(r" +relative (\w+) (\[.*\])", line)):
            found[key][match.group(1)] = json.loads(match.group(2))
    return found


def no_zero_error(output, _):
    """No control-region error is zero in every bin."""
    found = blocks(output)
    zero = [k for k, v in found.items() if not any(v.get("control_region", [1]))]
    return None if found and not zero else f"no error of {zero or 'anything'}"


def one_set_of_edges(output, _):
    """A distribution has the same edges in every row."""
    found = blocks(output)
    names = {name for _, name in found}
    other = [n for n in names if len({str(v["edges"]) for k, v in found.items() if k[1] == n}) > 1]
    return None if found and not other else f"other edges in {other or 'nothing'}"


def three_figures(output, _):
    names = set(re.findall(r"^sr_x_y\S*\.svg", output, re.M))
    return None if len(names) >= 3 else f"{sorted(names)}"


REFUSED = has(r"^error")
EXPECTED = {
    "02": [REFUSED, has("channels.sig.region", "blind"), lacks(r"\b454\b")],
    "03": [lacks(r"^closes  (The|sr)", "invalid type: null"), has("finite|untested|error")],
    "04": [lacks(r"^closes  (The|sr)"), has("untested|spread")],
    "08": [fixed("nu")],
    "09": [fixed("k")],
    "100": [has(r"^[1-4] submissions")],
    "102": [lacks("cannot be used")],
    "104": [has(r"^rc 130 1?[0-9] s")],
    "11": [lacks(r"± 0\.0000", r"\?\]", r"None\]\]"), has(r"0\.10")],
    "13": [lacks("^error"), has("^report")],
    "17": [lacks(r"^5\.0 0\.0"), has("KeyError|None")],
    "18": [either(REFUSED, has(r"source +750 "))],
    "19": [either(REFUSED, has(r"source +1499 "))],
    "24": [REFUSED, lacks("members succeeded"), has("features.inputs")],
    "25": [pairs_equal],
    "27": [whole_yield],
    "28": [has(r"^(error|check|note).*(nan|finite|no value|null|missing)")],
    "30": [has(r"\b300\b.*(null|no value|neither)")],
    "31": [has("drop", r"^[1-9][0-9]*$")],
    "32": [has(r"\b400\b")],
    "36": [either(has("^error.*event"), has("event.*(not there|no column|missing|by file and row)"))],
    "37": [REFUSED, has(r"\{pi\}")],
    "41": [either(REFUSED, has("'normsys': {'interpcode': 'code1'}|code1.*channel|channel.*code1"))],
    "42": [REFUSED, lacks("UTF-8")],
    "44": [three_figures],
    "45": [REFUSED, lacks("memory allocation of", "backtrace")],
    "46": [REFUSED, has(r"channel|bin", r"\b4\b.*\b8\b"), lacks("at any start")],
    "47": [REFUSED, has("features.inputs", "data.source", r"\b0\b")],
    "48": [REFUSED, has(r"\{a-b\}")],
    "49": [REFUSED, has("data.on_missing")],
    "51": [REFUSED, has("constraint", "bounds")],
    "54": [lacks("no upper limit"), has("mu < ")],
    "59": [lacks("exit 124"), has("rows|error")],
    "62": [REFUSED, has("category", r"\bsr\b")],
    "63": [either(REFUSED, no_zero_error)],
    "64": [either(REFUSED, one_set_of_edges)],
    "68": [has(r"category|year"), has(r"no prediction|null|error|none")],
    "69": [has("outside"), has("box|plane")],
    "71": [has("drop")],
    "73": [REFUSED, has("quadrants")],
    "77": [lacks("^error")],
    "78": [lacks("no event of the source")],
    "79": [lacks("set interpolation.plane.fit.noise")],
    "81": [lacks(r"\^\[", r"\^G")],
    "84": [has(r"8\.76|8\.8 ")],
    "85": [pairs_equal],
    "86": [has("^my o"), lacks("PAR1")],
    "87": [lacks("^closes  (The|sr)"), has("^open")],
    "88": [REFUSED, has(r"\bsum\b")],
    "89": [has(r"^nominal +2 +2 "), lacks("5000 members", "cannot be used")],
    "91": [has(r"manifest"), lacks(r"---\nerror: out/members")],
    # mu*2 is a multiple of mu, which a workspace can say: a new directory has it, too
    "93": [equal("out/workspace.json", "fresh/workspace.json")],
    "94": [has(r"in RUN: [1-9]")],
    "98": [lacks("rc 137"), has("regular file")],
}


def run(folder, program, limit):
    """Output and exit code of a fault folder's run.sh in a copy, and the copy."""
    copy = pathlib.Path(tempfile.mkdtemp(prefix="sideband-fault-")) / folder.name
    shutil.copytree(folder, copy)
    tools = copy.parent / "bin"
    tools.mkdir()
    (tools / "sideband").symlink_to(program)
    environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
    child = subprocess.Popen(
        ["sh", "run.sh"],
        cwd=copy,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=limit)
        code = child.returncode
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        code = 124
    return output.decode(errors="replace") + f"\n[exit {code}]\n", copy


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path, help="of the fault folders")
    parser.add_argument("names", nargs="*", help="those that begin so alone")
    parser.add_argument("--program", type=pathlib.Path, default="target/release/sideband")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds for each")
    parser.add_argument("--show", action="store_true", help="print the output of what is not ok")
    arguments = parser.parse_intermixed_args()
    if not arguments.folder.is_dir():
        sys.exit(f"{arguments.folder}: no such folder of fault folders; nothing to run")
    if not arguments.program.is_file():
        sys.exit(f"{arguments.program}: no such program; cargo build --release makes it")
    program = arguments.program.resolve()
    rows = []
    key = lambda path: (int(path.name.split("-")[0]), path.name)
    for folder in sorted((p.parent for p in arguments.folder.glob("[0-9]*/run.sh")), key=key):
        number = folder.name.split("-")[0]
        if arguments.names and not any(folder.name.startswith(n) for n in arguments.names):
            continue
        readme = (folder / "README.md").read_text()
        kind = re.search(r"^Kind: (\w+)", readme, re.M)
        output, copy = run(folder, program, arguments.limit)
        reasons = []
        for check in EXPECTED.get(number, []):
            try:
                reason = check(output, copy)
            except (OSError, ValueError, KeyError, IndexError) as error:
                reason = f"{type(error).__name__}: {error}"
            reasons += [reason] if reason else []
        if number not in EXPECTED:
            reasons = ["no expectation"]
        rows.append((folder.name, kind.group(1) if kind else "?", "; ".join(reasons) or "ok"))
        print(f"{rows[-1][1]:3} {rows[-1][0]:52} {rows[-1][2][:200]}", flush=True)
        if arguments.show and reasons:
            print(output)
        shutil.rmtree(copy.parent, ignore_errors=True)
    bad = sum(row[2] != "ok" for row in rows)
    print(f"{len(rows) - bad} of {len(rows)} as expected")
    sys.exit(1 if bad or not rows else 0)


if __name__ == "__main__":
    main()
