#!/usr/bin/env python3
"""Checks an HTCondor submit description with HTCondor's own parser, without a pool.

    scripts/check_htcondor.py FILE.sub

Prints what the parser saw, expanded for the first and the last job. Exit code 0 if
it is sound, 1 if it is not, 77 if the package (`pip install htcondor`) is missing.
Tried with htcondor 25.14.1.
"""

import sys

try:
    import htcondor2 as htcondor
except ImportError:
    try:
        import htcondor
    except ImportError:
        print("no module htcondor2 or htcondor: pip install htcondor", file=sys.stderr)
        sys.exit(77)

REQUIRED = {
    "universe": "vanilla",
    "transfer_executable": "false",
    "should_transfer_files": "NO",
    "kill_sig": "SIGTERM",
}
EXPRESSIONS = ["on_exit_remove", "requirements"]


def split_arguments(text):
    """The words of `arguments = "..."`, by HTCondor's rules: words end at white
    space, single quotes keep it, a doubled quote is one."""
    assert text[0] == text[-1] == '"', f"arguments are not in double quotes: {text}"
    body = text[1:-1].replace('""', "\0")
    assert '"' not in body, f"a single double quote in {text}"
    words, word, quoted, i = [], None, False, 0
    while i < len(body):
        c = body[i].replace("\0", '"')
        if body[i] == "'":
            if quoted and body[i + 1 : i + 2] == "'":
                word += "'"
                i += 1
            else:
                quoted = not quoted
                word = word or ""
        elif c.isspace() and not quoted:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + c
        i += 1
    assert not quoted, f"a quote is not closed in {text}"
    return words + ([word] if word is not None else [])


def parse_expression(text):
    try:
        import classad2 as classad
    except ImportError:
        import classad
    return classad.ExprTree(text)


def check(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    submit = htcondor.Submit(text)
    queue = submit.getQArgs()
    items = [dict(item) for item in submit.itemdata()]
    blocks = [item["block"] for item in items]
    print(f"queue: {queue.splitlines()[0]} ... {len(items)} jobs")
    assert items, "no jobs are queued"
    assert all(block.isdigit() for block in blocks), f"blocks are no numbers: {blocks}"
    assert len(set(blocks)) == len(blocks), "a block is queued twice"
    for key, value in REQUIRED.items():
        assert submit.get(key) == value, f"{key} is {submit.get(key)}, not {value}"
    for key in EXPRESSIONS:
        if key in submit:
            print(f"{key}: {parse_expression(submit.expand(key))}")
    for block in sorted({blocks[0], blocks[-1]}, key=int):
        # as condor_submit does for each item
        job = htcondor.Submit(text)
        job["block"] = block
        print(f"block {block}:")
        for key in job.keys():
            try:
                value = job.expand(key)
            except KeyError:
                # the parser keeps My.X under another name: replaced here
                value = job[key].replace("$(block)", block)
            assert "$(" not in value, f"{key} is not expanded: {value}"
            print(f"  {key} = {value}")
        words = split_arguments(job.expand("arguments"))
        print(f"  argument words: {words}")
        assert words[0] == "worker" and words[2:4] == ["--block", block], words
        assert words[1].startswith("/"), f"the run is not an absolute path: {words[1]}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        check(sys.argv[1])
    except Exception as e:  # the parser has exceptions of its own, by version
        print(f"{sys.argv[1]}: {e!r}", file=sys.stderr)
        sys.exit(1)
