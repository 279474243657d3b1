#!/usr/bin/env python3
"""Kill, starve and damage runs, and hold their results to those of an undisturbed one.

usage: fault_test.py [--program FILE] [--kills N] [--members N] [--epochs N] [--seed K]
                     [--parts PART,PART] [--folder DIR] [--keep]

Everything trains the same small ensemble on tests/data/collisions; the members'
files, metrics.json and the prediction files must come out byte for byte as in a
run that nobody touched.

    kills     two runs and now and then a worker on one directory, killed at random
              moments (SIGKILL, SIGTERM, time limit) until N kills are made; between
              them finished members and checkpoints are damaged or removed
    matrix    the same for an experiment of two ensembles, with a third of the kills
    terminate SIGTERM and a time limit in the middle of a member
    damaged   a member is damaged while another of its block is in training
    together  two runs on one directory
    asleep    a run is stopped (SIGSTOP), another takes its work over, it wakes up
    only      two halves in two directories, merged
    extend    half as many members, killed on the way to all of them
    readonly  data that cannot be written to
    disk      a tmpfs that is too small, and is made larger step by step (needs root)

Exit code: 0 all equal, 1 something is not, 77 if `disk` alone was asked for and
nothing can be mounted here. Needs Python 3.9 and a POSIX system, nothing else.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/data/collisions"
SKIPPED = 77
# Longer than anything here takes on a slow machine: what takes longer hangs.
LIMIT_S = 300
# From the start of the program until it listens to signals, generously.
LISTENS_AFTER_S = 0.5

CONFIG = """
[experiment]
name = "faults"
method = "reweight"
seed = 31

[device]
threads = 1

[data.source]
path = "{data}/qcd_2b.parquet"
selection = "n_btag == 2"
weight = "{weight}"
id = ["event_id"]

[data.target]
path = "{data}/qcd_4b.parquet"
selection = "n_btag >= 4"
weight = "weight"
id = ["event_id"]

[regions.sr]
selection = "in_sr"

[regions.sideband]
selection = "!in_sr && !in_cr2"

[features]
inputs = ["log_pt2", "log_pt4", "log_dr1", "log_dr2", "n_jets"]

[model]
hidden = [32, 32]

[training]
region = "sideband"
epochs = {epochs}
patience = {epochs}

[ensemble]
members = {members}

[report]
classifier_members = 0

[executor]
members = 4
checkpoint_epochs = 1
stale_seconds = 2.0
"""

MATRIX = """
[matrix]
variation = [
    {{ name = "nominal", weight = "weight" }},
    {{ name = "up", weight = "weight * (1 + 0.1 * (n_jets > 5))" }},
]
"""


class Failed(Exception):
    """Something is not as it has to be."""


class Skipped(Exception):
    """A part that cannot be done here."""


def need(condition, text):
    if not condition:
        raise Failed(text)


class Process:
    """The program at work; its output goes to files, so that no pipe fills up."""

    def __init__(self, study, arguments, cwd):
        self.arguments = [str(a) for a in arguments]
        self.out = tempfile.TemporaryFile("w+", dir=study.folder)
        self.started = time.monotonic()
        self.child = subprocess.Popen(
            [study.program, *self.arguments],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def age(self):
        return time.monotonic() - self.started

    def ended(self):
        return self.child.poll() is not None

    def send(self, number):
        if not self.ended():
            self.child.send_signal(number)

    def wait(self, limit=LIMIT_S):
        """The exit code (negative: the signal) and all that was printed."""
        try:
            code = self.child.wait(limit)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            said = self.text()[-600:]
            raise Failed(f"hangs ({limit:.0f} s): {' '.join(self.arguments)}\n{said}") from None
        return code, self.text()

    def text(self):
        self.out.seek(0)
        return self.out.read()


class Study:
    def __init__(self, arguments, folder):
        self.program = str(Path(arguments.program).resolve())
        self.members, self.epochs = arguments.members, arguments.epochs
        self.kills = arguments.kills
        self.random = random.Random(arguments.seed)
        self.folder = folder
        self.counts = collections.Counter()
        self.running = []

    def config(self, name, matrix=False, data=DATA, **values):
        path = self.folder / name
        values = {"members": self.members, "epochs": self.epochs, **values}
        weight = "${variation.weight}" if matrix else "weight"
        text = CONFIG.format(data=data, weight=weight, **values)
        path.write_text(text + (MATRIX.format() if matrix else ""))
        return path

    def start(self, *arguments, cwd=None):
        process = Process(self, arguments, cwd or self.folder)
        self.running.append(process)
        return process

    def do(self, *arguments, expect=0, cwd=None):
        """Runs the program to its end; what it said."""
        code, text = self.start(*arguments, cwd=cwd).wait()
        self.expect(arguments, code, expect, text)
        return text

    def expect(self, arguments, code, expected, text):
        need("panicked" not in text and "a fault of the program" not in text, text[-600:])
        command = " ".join(str(a) for a in arguments)
        need(code == expected, f"`{command}` ended with {code}, not {expected}:\n{text[-600:]}")

    def stop_all(self):
        for process in self.running:
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
            process.child.wait()
        self.running.clear()

    def reference(self):
        """The run that nobody touches; made once."""
        out = self.folder / "reference"
        if not out.exists():
            started = time.monotonic()
            self.do("run", self.config("config.toml"), "--out", out)
            seconds = time.monotonic() - started
            print(f"reference: {self.members} members in {seconds:.1f} s", flush=True)
        return out


def ensembles(run):
    """Directories of the ensembles of a run."""
    folder = run / "ensembles"
    return sorted(folder.iterdir()) if folder.is_dir() else [run]


def results(run):
    """Name -> bytes of all that must not depend on what happened to a run."""
    found = {}
    for ensemble in ensembles(run):
        paths = [
            *(ensemble / "members").glob("*.safetensors"),
            *(ensemble / "predictions").glob("*.parquet"),
            ensemble / "metrics.json",
        ]
        for path in paths:
            found[str(path.relative_to(run))] = path.read_bytes() if path.exists() else None
    return found


def same(run, reference):
    """Holds a run to another."""
    own, other = results(run), results(reference)
    need(own.keys() == other.keys(), f"{run}: has not the files of {reference}")
    need(None not in other.values(), f"{reference}: no metrics.json")
    different = sorted(name for name in own if own[name] != other[name])
    need(not different, f"{run}: {len(different)} files differ: {', '.join(different[:5])}")


def log_lines(run):
    """All events of a run's logs, and how many lines are none."""
    events, bad = [], 0
    for path in [run / "log.jsonl", *(run / "logs").glob("*.jsonl")]:
        if not path.exists():
            continue
        for line in path.read_bytes().splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                bad += 1
    return events, bad


def epochs_trained(run):
    return sum(event.get("event") == "epoch" for event in log_lines(run)[0])


def wait_for(condition, what, process=None, limit=LIMIT_S):
    end = time.monotonic() + limit
    while not condition():
        need(time.monotonic() < end, f"waited in vain for {what}")
        if process is not None and process.ended():
            raise Failed(f"ended before {what}: {process.text()[-600:]}")
        time.sleep(0.005)


def members_of(run):
    return [p for e in ensembles(run) for p in (e / "members").glob("*.safetensors")]


def checkpoints_of(run):
    return [p for e in ensembles(run) for p in (e / "checkpoints").glob("*.safetensors")]


def damage(study, run):
    """Does one bad thing to a run directory."""
    kind = study.random.choice(
        ["member truncated", "member corrupted", "member removed", "checkpoint removed",
         "checkpoint truncated", "checkpoint corrupted", "both checkpoints removed",
         "stale .tmp left"]
    )  # fmt: skip
    files = members_of(run) if kind.startswith("member") else checkpoints_of(run)
    if not files and kind != "stale .tmp left":
        return
    try:
        if kind == "stale .tmp left":
            folder = study.random.choice(ensembles(run))
            place = study.random.choice(["members", "checkpoints", "predictions"])
            (folder / place).mkdir(parents=True, exist_ok=True)
            name = f"member_0000.safetensors.{study.random.randrange(1 << 20)}-0.tmp"
            (folder / place / name).write_bytes(b"half of a")
        else:
            path = study.random.choice(files)
            if "removed" in kind:
                path.unlink()
                if kind.startswith("both"):
                    path.with_suffix(".previous").unlink()
            else:
                bytes_ = bytearray(path.read_bytes())
                if "truncated" in kind:
                    bytes_ = bytes_[: study.random.randrange(len(bytes_))]
                else:
                    # in the tensors, at the end: the header holds digits that
                    # can be written in several ways
                    bytes_[-1 - study.random.randrange(len(bytes_) // 4)] ^= 0x10
                # as a crashed machine leaves it, not by rename
                path.write_bytes(bytes_)
    except FileNotFoundError:
        # finished or renamed at this moment
        return
    study.counts[f"damage: {kind}"] += 1


def disturb(study, config, run, kills):
    """Kills and damages the processes of a run until there were enough kills."""
    procs = []
    made = 0
    begun = time.monotonic()

    def ended_by_itself(process):
        code, text = process.wait()
        study.counts[f"ended by itself: {code}"] += 1
        # 6: a member was damaged after the last look at it
        codes = (0, 75) if "--time-limit" in process.arguments else (0, 6)
        need(code in codes, f"{process.arguments} ended with {code}:\n{text[-600:]}")

    while made < kills:
        need(time.monotonic() - begun < 60 * LIMIT_S, "no end of it")
        for process in [p for p in procs if p.ended()]:
            procs.remove(process)
            ended_by_itself(process)
        all_there = (run / "manifest.json").exists() and not procs
        if all_there and (run / "report.html").exists() | (run / "ensembles").exists():
            # perhaps all is done: make some work
            for path in members_of(run):
                if study.random.random() < 0.3:
                    path.unlink()
                    study.counts["damage: member removed"] += 1
        while len(procs) < 2:
            more = ["--time-limit", "1"] if study.random.random() < 0.1 else []
            procs.append(study.start("run", config, "--out", run, *more))
            study.counts["runs started"] += 1
        if len(procs) < 3 and (run / "manifest.json").exists() and study.random.random() < 0.2:
            procs.append(study.start("worker", run))
            study.counts["workers started"] += 1
        time.sleep(study.random.choice([0.02, 0.3, 1.0]) * study.random.random() * 2)
        process = study.random.choice(procs)
        if study.random.random() < 0.2 and process.age() > LISTENS_AFTER_S:
            process.send(signal.SIGTERM)
            code, text = process.wait(60)
            # one that was drawing its report already ends as if nothing was said
            ends = (0, 6, 75, 130)
            need(code in ends, f"{process.arguments} left SIGTERM with {code}:\n{text[-600:]}")
            study.counts[f"SIGTERM: {code}"] += 1
            made += 1
        elif not process.ended():
            process.send(signal.SIGKILL)
            code, _ = process.wait(60)
            kind = "worker" if process.arguments[0] == "worker" else "run"
            if code == -signal.SIGKILL:
                study.counts[f"SIGKILL: {kind}"] += 1
                made += 1
            else:
                study.counts[f"ended by itself: {code}"] += 1
        else:
            continue
        procs.remove(process)
        if study.random.random() < 0.4:
            damage(study, run)
    # whoever is left finishes or is killed by chance
    for process in procs:
        if study.random.random() < 0.5:
            process.send(signal.SIGKILL)
            process.wait(60)
            study.counts["SIGKILL: run"] += 1
        else:
            ended_by_itself(process)
    # what was damaged just now is found by the first run or the second
    code, text = study.start("run", config, "--out", run).wait()
    need(code == 0, f"the last run ended with {code}:\n{text[-600:]}")
    study.do("run", config, "--out", run)


def part_kills(study):
    reference = study.reference()
    run = study.folder / "kills"
    disturb(study, study.folder / "config.toml", run, study.kills)
    same(run, reference)
    left = [*checkpoints_of(run), *(run / "claims").glob("*.held")]
    need(not left, f"left behind: {[p.name for p in left]}")
    _, bad = log_lines(run)
    need(bad == 0, f"{bad} lines of the logs are not JSON")
    ratio = epochs_trained(run) / (study.members * study.epochs)
    return f"epochs trained / epochs needed without damage: {ratio:.2f}"


def part_matrix(study):
    config = study.config("matrix.toml", matrix=True, members=max(2, study.members // 4))
    reference, run = study.folder / "matrix_reference", study.folder / "matrix"
    study.do("run", config, "--out", reference)
    need(len(ensembles(reference)) == 2, "there should be two ensembles")
    disturb(study, config, run, max(1, study.kills // 3))
    same(run, reference)
    return "2 ensembles"


def part_terminate(study):
    reference = study.reference()
    config = study.config("terminate.toml", members=4, epochs=10 * study.epochs)
    whole, run = study.folder / "terminate_reference", study.folder / "terminate"
    study.do("run", config, "--out", whole)
    for round_ in range(3):
        process = study.start("run", config, "--out", run)
        before = epochs_trained(run)
        wait_for(lambda n=before: epochs_trained(run) > n + 3, "epochs", process)
        process.send(signal.SIGTERM)
        code, text = process.wait(60)
        study.expect(process.arguments, code, 130, text)
        need(checkpoints_of(run), "SIGTERM left no checkpoint")
        study.counts["SIGTERM: 130"] += 1
        more = "again to go on"
        need(more in text, f"no word on how to go on:\n{text[-300:]}")
        code, text = study.start("run", config, "--out", run, "--time-limit", 1).wait()
        if code != 0:
            study.expect(["run", "--time-limit"], code, 75, text)
            need("time limit" in text and more in text, text[-300:])
            study.counts["time limit: 75"] += 1
    study.do("run", config, "--out", run)
    same(run, whole)
    needed, trained = 4 * 10 * study.epochs, epochs_trained(run)
    need(trained <= needed, f"{trained} epochs trained, {needed} needed: work was lost")
    need(reference.exists(), "no reference")
    return f"{trained} epochs trained of {needed} needed"


def part_damaged(study):
    """A second run finds a damaged member in a block that the first is still at."""
    reference = study.reference()
    run, config = study.folder / "damaged", study.folder / "config.toml"
    first = study.start("run", config, "--out", run)
    wait_for(lambda: len(members_of(run)) >= 1, "a member", first)
    path = sorted(members_of(run))[0]
    path.write_bytes(path.read_bytes()[:100])
    study.counts["damage: member truncated"] += 1
    second = study.start("run", config, "--out", run)
    codes = []
    for process in (first, second):
        code, text = process.wait(max(60.0, 0.5 * LIMIT_S))
        need(code in (0, 6), f"ended with {code}:\n{text[-600:]}")
        codes.append(code)
    study.do("run", config, "--out", run)
    same(run, reference)
    return f"they ended with {codes}"


def part_together(study):
    reference = study.reference()
    run, config = study.folder / "together", study.folder / "config.toml"
    both = [study.start("run", config, "--out", run) for _ in range(2)]
    for process in both:
        code, text = process.wait()
        study.expect(process.arguments, code, 0, text)
    same(run, reference)
    events, bad = log_lines(run)
    need(bad == 0, f"{bad} lines of log.jsonl are not JSON")
    trained = collections.Counter(e["member"] for e in events if e["event"] == "member")
    twice = sum(n > 1 for n in trained.values())
    need(twice == 0, f"{twice} members were trained twice")
    return "no member trained twice"


def part_asleep(study):
    reference = study.reference()
    run, config = study.folder / "asleep", study.folder / "config.toml"
    first = study.start("run", config, "--out", run)
    wait_for(lambda: len(members_of(run)) >= 2, "a member", first)
    first.send(signal.SIGSTOP)
    study.counts["SIGSTOP"] += 1
    code, text = study.start("run", config, "--out", run).wait()
    first.send(signal.SIGCONT)
    study.expect(["run", config], code, 0, text)
    same(run, reference)
    code, text = first.wait()
    study.expect(["run", config], code, 0, text)
    same(run, reference)
    study.do("run", config, "--out", run)
    return ""


def part_only(study):
    reference = study.reference()
    config = study.folder / "config.toml"
    copy = study.folder / "copy.toml"
    shutil.copy(config, copy)
    half = study.members // 2
    first, second = study.folder / "only_a", study.folder / "only_b"
    study.do("run", config, "--out", first, "--only", f"0-{half - 1}", expect=0)
    study.do("run", copy, "--out", second, "--only", f"{half}-{study.members - 1}", expect=0)
    need(len(members_of(first)) == half, "not the members that were asked for")
    need(len(members_of(first)) + len(members_of(second)) == study.members, "not the other ones")
    text = study.do("merge", first, second)
    need(f"{study.members - half} members taken over" in text, text[-600:])
    same(first, reference)
    return ""


def part_extend(study):
    reference = study.reference()
    run, half = study.folder / "extend", study.members // 2
    study.do("run", study.config("half.toml", members=half), "--out", run)
    about = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in members_of(run)}
    need(len(about) == half, "not half of the members")
    process = study.start("extend", run, "--members", study.members)
    wait_for(lambda: len(members_of(run)) > half, "a new member", process)
    process.send(signal.SIGKILL)
    process.wait()
    study.counts["SIGKILL: extend"] += 1
    study.do("extend", run, "--members", study.members)
    for path, (bytes_, modified) in about.items():
        untouched = path.read_bytes() == bytes_ and path.stat().st_mtime_ns == modified
        need(untouched, f"{path.name} was touched")
    same(run, reference)
    return ""


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"mount: {done.stderr.strip()}")


def part_readonly(study):
    reference = study.reference()
    data = study.folder / "data"
    data.mkdir()
    for path in DATA.glob("*.parquet"):
        (data / path.name).write_bytes(path.read_bytes())
        (data / path.name).chmod(0o444)
    data.chmod(0o555)
    note = "permissions"
    bound = False
    try:
        if os.geteuid() == 0:
            # nobody's permissions stop root: a mount does
            try:
                mount("--bind", data, data)
                bound = True
                mount("-o", "remount,ro,bind", data)
                note = "permissions and mount"
            except Skipped as reason:
                note = f"as root, permissions stop nobody; {reason}"
        run = study.folder / "readonly"
        study.do("run", study.config("readonly.toml", data=data), "--out", run)
        same(run, reference)
    finally:
        if bound:
            subprocess.run(["umount", str(data)], check=False)
        data.chmod(0o755)
    return note


def part_disk(study):
    reference = study.reference()
    disk = study.folder / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        raise Skipped("mounting needs root")
    config, run = study.folder / "config.toml", disk / "run"
    mount("-t", "tmpfs", "-o", "size=96k", "tmpfs", disk)
    ends = []
    try:
        # full while members are trained, at the predictions, at the report
        for size in ["96k", "400k", "1200k", "3m", "4m", "256m"]:
            mount("-o", f"remount,size={size}", disk)
            code, text = study.start("run", config, "--out", run).wait()
            there = len(members_of(run))
            if code == 70:
                study.counts["full disk: 70"] += 1
                need("free some space" in text, f"at {size}, no word on space:\n{text[-600:]}")
            elif size == "256m" or code != 0:
                study.expect(["run", f"(on {size})"], code, 0, text)
            ends.append(f"{size}: {code} ({there} members)")
        need("70" in ends[0], f"the disk was never full: {ends}")
        same(run, reference)
        damaged = list((run / "members").glob("*.damaged"))
        need(not damaged, f"corrupt in between: {damaged}")
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    return ", ".join(ends)


PARTS = {
    name.removeprefix("part_"): function
    for name, function in list(globals().items())
    if name.startswith("part_")
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", default=ROOT / "target/release/sideband")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--folder", type=Path, help="work folder; a temporary one if absent")
    parser.add_argument("--keep", action="store_true", help="do not remove the work folder")
    arguments = parser.parse_args()
    unknown = set(arguments.parts.split(",")) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=arguments.folder)).resolve()
    study = Study(arguments, folder)
    rows = []
    try:
        for name in arguments.parts.split(","):
            started = time.monotonic()
            try:
                verdict, note = "PASS", PARTS[name](study)
            except Skipped as reason:
                verdict, note = "SKIP", str(reason)
            except Failed as reason:
                verdict, note = "FAIL", str(reason)
            finally:
                study.stop_all()
            seconds = time.monotonic() - started
            rows.append((name, verdict, note))
            print(f"{verdict}  {name:9}  {seconds:6.1f} s  {note}", flush=True)
    finally:
        study.stop_all()
        if arguments.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n| what was done (seed {arguments.seed}) | times |\n|---|---|")
    for what, count in sorted(study.counts.items()):
        print(f"| {what} | {count} |")
    verdicts = {verdict for _, verdict, _ in rows}
    print("\n| part | verdict |\n|---|---|")
    for name, verdict, _ in rows:
        print(f"| {name} | {verdict} |")
    if "FAIL" in verdicts:
        sys.exit(1)
    if verdicts == {"SKIP"}:
        sys.exit(SKIPPED)


if __name__ == "__main__":
    main()
