//! `executor.slurm.options` as `sbatch` reads them: words with quotes and escapes
//! (`_get_argument`), and of these options by the rules of `getopt_long`: names may
//! be cut short, letters may be put together, values may be attached.

/// Long options that are the executor's own, and those that print and end.
const OWN_LONG: [&str; 18] = [
    "array",
    "job-name",
    "output",
    "error",
    "open-mode",
    "chdir",
    "workdir",
    "signal",
    "requeue",
    "no-requeue",
    "parsable",
    "wait",
    "wrap",
    "test-only",
    "help",
    "usage",
    "version",
    "ignore-pbs",
];
/// Letters of the same.
const OWN_SHORT: &str = "aJoeDWhuV";
/// Letters without a value.
const FLAG_SHORT: &str = "bHIkOQRsv";
/// Long options without a value, or with one behind `=` alone.
const FLAG_LONG: [&str; 17] = [
    "contiguous",
    "exclusive",
    "get-user-env",
    "hold",
    "immediate",
    "nice",
    "no-kill",
    "no-rotate",
    "overcommit",
    "oversubscribe",
    "propagate",
    "quiet",
    "reboot",
    "share",
    "spread-job",
    "use-min-nodes",
    "verbose",
];
const OWN: &str = "is an option that the program sets itself";

/// A setting that has an option of its own.
pub(super) struct Keyed {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) reason: &'static str,
}

/// Whether an entry is options of `sbatch`, none of which the executor sets itself
/// or a setting gives (`keyed`); else why not.
pub(super) fn check(entry: &str, keyed: &[Keyed]) -> Result<(), &'static str> {
    let words = words(entry)?;
    if words.is_empty() {
        return Err("has no option in it");
    }
    let mut takes_value = false;
    for word in &words {
        if !word.starts_with('-') || word == "-" {
            if !std::mem::take(&mut takes_value) {
                return Err(
                    "has a word that neither begins with - as options of sbatch do nor is the \
                     value of one",
                );
            }
        } else if let Some(long) = word.strip_prefix("--") {
            takes_value = check_long(long, keyed)?;
        } else {
            takes_value = check_short(&word[1..], keyed)?;
        }
    }
    Ok(())
}

/// Whether a value may follow as a word.
fn check_long(text: &str, keyed: &[Keyed]) -> Result<bool, &'static str> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("ends the options");
    }
    // a name cut short stands for the one that begins so
    if OWN_LONG.iter().any(|own| own.starts_with(name)) {
        return Err(OWN);
    }
    if let Some(set) = keyed.iter().find(|key| key.long.starts_with(name)) {
        return Err(set.reason);
    }
    Ok(value.is_none() && !FLAG_LONG.contains(&name))
}

/// Letters behind one `-`, of which the first with a value takes the rest.
fn check_short(letters: &str, keyed: &[Keyed]) -> Result<bool, &'static str> {
    for (place, letter) in letters.char_indices() {
        if OWN_SHORT.contains(letter) {
            return Err(OWN);
        }
        if let Some(set) = keyed.iter().find(|key| key.short == Some(letter)) {
            return Err(set.reason);
        }
        if !FLAG_SHORT.contains(letter) {
            return Ok(place + letter.len_utf8() == letters.len());
        }
    }
    Ok(false)
}

/// The words of a line behind `#SBATCH`.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut escaped = false;
    for c in line.chars() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
            continue;
        } else if let Some(q) = quote {
            if c == q {
                quote = None;
                continue;
            }
        } else if c == '"' || c == '\'' {
            quote = Some(c);
            word.get_or_insert_default();
            continue;
        } else if c == '#' {
            break;
        } else if c.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        word.get_or_insert_default().push(c);
    }
    if quote.is_some() {
        return Err("has a quote that does not end");
    }
    if escaped {
        return Err("ends with \\, which would take in more");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYED: [Keyed; 1] = [Keyed {
        long: "cpus-per-task",
        short: Some('c'),
        reason: "is cpus",
    }];

    #[test]
    fn options_are_read_as_sbatch_reads_them() {
        for good in [
            "--exclude=node[1-3]",
            "--exclude node1",
            "-x node1",
            "-xnode1",
            "--gres=gpu:a100:1",
            "--mail-type=END --mail-user=a@b",
            "-H",
            "-HQ",
            "--wait-all-nodes=1",
            "--comment='a --wrap=b'",
            "--comment=a\\ --array=1",
            "--licenses=x # --array=1",
            "--export=NONE",
            "--dependency=singleton",
            "-M one",
            "--exclusive",
            "--exclusive=user",
        ] {
            assert_eq!(check(good, &KEYED), Ok(()), "{good}");
        }
        for own in [
            "--array=1-3",
            "--array 1-3",
            "--arr=1",
            "-a1",
            "-a 1",
            "-Ha1",
            "-QHW",
            "--exclude=n --array=1",
            "--exclude n -a1",
            "'--array=1'",
            "--\"array\"=1",
            "\\--array=1",
            "--ar\\ray=1",
            "-o x",
            "-ox",
            "--output=x",
            "--outp x",
            "--err=x",
            "-e x",
            "--wrap=true",
            "--wr true",
            "--no-requeue",
            "--no-req",
            "-J x",
            "--job=x",
            "-D /",
            "--chdir=/",
            "--test-only",
            "--help",
            "-h",
            "-V",
            "--w",
        ] {
            assert_eq!(check(own, &KEYED), Err(OWN), "{own}");
        }
        for key in ["-c 4", "-c4", "-Hc4", "--cpus-per-task=4", "--cpus=4"] {
            assert_eq!(check(key, &KEYED), Err("is cpus"), "{key}");
        }
        for wrong in [
            "exclude=n",
            "--exclude=n more",
            "-H word",
            "--exclusive word",
            "--",
            "-- x",
            "--exclude='n",
            "--exclude=n\\",
            "# nothing",
            "-",
        ] {
            assert!(check(wrong, &KEYED).is_err(), "{wrong}");
        }
    }
}
