#!/usr/bin/env python3
"""Draws the pictures of README.md and docs again, into docs/pictures.

    scripts/pictures.py target/release/sideband [--only quickstart] [--phone FOLDER]

Runs the shipped examples and the tutorial, as docs/tutorial.md has it, with the program that is
given, each in a folder of its own that is removed afterwards: all in two minutes on two idle
cores. Figures are the program's own; a report is taken as a browser shows it (chromium, Debian's
package of that name), which loads nothing from outside. Look at the pictures before they are
committed, and with `--phone` at the pages at the width of a telephone.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars
    --disable-background-networking --disable-component-update --disable-sync
""".split()
# of each run: a figure and the name of its picture, or width and height of its page
FIGURES = {
    "quickstart": [("sr_m_hh", "m_hh")],
    "interference": [("likelihood_mu", "interference")],
    "tutorial": [("signal_mass", "tutorial")],
}
PAGES = {"quickstart": (1280, 2400)}


def browser():
    names = ["chromium", "chromium-browser", "google-chrome"]
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        raise SystemExit(f"no browser: install one of {', '.join(names)}")
    return found[0]


def shoot(page, picture, width, height):
    """Takes a page as a browser shows it."""
    with tempfile.TemporaryDirectory() as profile:
        flags = [f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        command = [browser(), *FLAGS, *flags, f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)
    print(f"{picture}: {picture.stat().st_size} bytes")


def example(program, name, folder):
    """Runs a shipped example; its run directory."""
    subprocess.run([program, "example", name, "--out", folder], check=True)
    subprocess.run([program, "run", f"{name}.toml", "--out", "run"], cwd=folder, check=True)
    return folder / "run"


def tutorial(program, folder):
    """Runs the tutorial with its edits, and opens the signal region; its run directory."""
    for path in (ROOT / "tests/data/nanoaod").glob("*.root"):
        shutil.copy(path, folder)
    files = ["2b.root:Events", "4b.root:Events"]
    subprocess.run([program, "init", *files, "--out", "my.toml"], cwd=folder, check=True)
    text = (ROOT / "docs/tutorial.md").read_text()
    define, regions, features = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    all_events = '[regions.training]\nselection = "1"\n'
    config = (folder / "my.toml").read_text()
    if all_events not in config:
        raise SystemExit("init writes another region than docs/tutorial.md says")
    config = config.replace(all_events, f"{define}\n{regions}")
    config = re.sub(r"\[features\]\ninputs = \[.*?\]\n", lambda _: features, config, flags=re.DOTALL)
    (folder / "my.toml").write_text(config)
    settings = ["--set", "ensemble.members=100", "--unblind"]
    run = [program, "run", "my.toml", "--out", "run", *settings]
    subprocess.run(run, cwd=folder, check=True)
    return folder / "run"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", type=lambda path: pathlib.Path(path).resolve(strict=True))
    parser.add_argument("--only", action="append", choices=list(FIGURES))
    parser.add_argument("--phone", type=pathlib.Path, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.phone:
        arguments.phone.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or FIGURES:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            if name == "tutorial":
                run = tutorial(arguments.program, folder)
            else:
                run = example(arguments.program, name, folder)
            for figure, picture in FIGURES[name]:
                shutil.copyfile(run / f"plots/{figure}.png", PICTURES / f"{picture}.png")
            if name in PAGES:
                shoot(run / "report.html", PICTURES / f"{name}.png", *PAGES[name])
            if arguments.phone:
                shoot(run / "report.html", arguments.phone / f"{name}.png", 400, 6000)


if __name__ == "__main__":
    main()
