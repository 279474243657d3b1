//! `executor.slurm.options` as `sbatch` reads them: words with quotes and escapes
//! (`_get_argument`), and of these options by the rules of `getopt_long`: names may
//! be cut short, letters may be put together, values may be attached.

/// Long options that are the executor's own, and those that print and end.
const OWN_LONG: &str = "array job-name output error open-mode chdir workdir signal requeue \
    no-requeue parsable wait wrap test-only help usage version ignore-pbs";
/// Letters of the same.
const OWN_SHORT: &str = "aJoeDWhuV";
/// Letters without a value.
const FLAG_SHORT: &str = "bHIkOQRsv";
/// Long options without a value, or with one behind `=` alone.
const FLAG_LONG: &str = "contiguous exclusive get-user-env hold immediate nice no-kill no-rotate \
    overcommit oversubscribe propagate quiet reboot share spread-job use-min-nodes verbose";
const OWN: &str = "is an option that the program sets itself";

/// Whether a list of words has one.
pub(super) fn has_word(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

/// An option that a setting gives.
pub(super) struct SlurmOption {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    /// The setting.
    pub(super) key: &'static str,
}

impl SlurmOption {
    fn reason(&self) -> String {
        format!("is given by executor.slurm.{}", self.key)
    }
}

/// Whether an entry is options of `sbatch`, none of which the executor sets itself
/// or a setting gives; else why not.
pub(super) fn check(entry: &str, given: &[SlurmOption]) -> Result<(), String> {
    let words = words(entry)?;
    if words.is_empty() {
        return Err("has no option in it".to_owned());
    }
    let mut takes_value = false;
    for word in &words {
        if !word.starts_with('-') || word == "-" {
            if !std::mem::take(&mut takes_value) {
                return Err(
                    "has a word that neither begins with - as options of sbatch do nor is \
                            the value of one"
                        .to_owned(),
                );
            }
        } else if let Some(long) = word.strip_prefix("--") {
            takes_value = check_long(long, given)?;
        } else {
            takes_value = check_short(&word[1..], given)?;
        }
    }
    Ok(())
}

/// Whether a value may follow as a word.
fn check_long(text: &str, given: &[SlurmOption]) -> Result<bool, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("ends the options".to_owned());
    }
    // a name cut short stands for the one that begins so
    if OWN_LONG.split_whitespace().any(|own| own.starts_with(name)) {
        return Err(OWN.to_owned());
    }
    match given.iter().find(|option| option.long.starts_with(name)) {
        Some(option) => Err(option.reason()),
        None => Ok(value.is_none() && !has_word(FLAG_LONG, name)),
    }
}

/// Letters behind one `-`, of which the first with a value takes the rest.
fn check_short(letters: &str, given: &[SlurmOption]) -> Result<bool, String> {
    for (place, letter) in letters.char_indices() {
        if OWN_SHORT.contains(letter) {
            return Err(OWN.to_owned());
        }
        if let Some(option) = given.iter().find(|option| option.short == Some(letter)) {
            return Err(option.reason());
        }
        if !FLAG_SHORT.contains(letter) {
            return Ok(place + letter.len_utf8() == letters.len());
        }
    }
    Ok(false)
}

/// The words of a line behind `#SBATCH`.
fn words(line: &str) -> Result<Vec<String>, String> {
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
        return Err("has a quote that does not end".to_owned());
    }
    if escaped {
        return Err("ends with \\, which would take in more".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_sbatch_reads_them() {
        let given = [SlurmOption {
            long: "cpus-per-task",
            short: Some('c'),
            key: "cpus",
        }];
        let of = |list: &'static str| list.split(" | ").map(|o| (o, check(o, &given)));
        let good = "--exclude=node[1-3] | --exclude node1 | -x node1 | -xnode1 | \
            --gres=gpu:a100:1 | --mail-type=END --mail-user=a@b | -H | -HQ | --wait-all-nodes=1 | \
            --comment='a --wrap=b' | --comment=a\\ --array=1 | --licenses=x # --array=1 | \
            --export=NONE | --dependency=singleton | -M one | --exclusive | --exclusive=user";
        for (option, checked) in of(good) {
            assert_eq!(checked, Ok(()), "{option}");
        }
        let own = "--array=1-3 | --array 1-3 | --arr=1 | -a1 | -a 1 | -Ha1 | -QHW | \
            --exclude=n --array=1 | --exclude n -a1 | '--array=1' | --\"array\"=1 | \\--array=1 | \
            --ar\\ray=1 | -o x | -ox | --output=x | --outp x | --err=x | -e x | --wrap=true | \
            --wr true | --no-requeue | --no-req | -J x | --job=x | -D / | --chdir=/ | \
            --test-only | --help | -h | -V | --w";
        for (option, checked) in of(own) {
            assert_eq!(checked.unwrap_err(), OWN, "{option}");
        }
        for (option, checked) in of("-c 4 | -c4 | -Hc4 | --cpus-per-task=4 | --cpus=4") {
            assert_eq!(checked.unwrap_err(), given[0].reason(), "{option}");
        }
        let wrong = "exclude=n | --exclude=n more | -H word | --exclusive word | -- | -- x | \
            --exclude='n | --exclude=n\\ | # nothing | -";
        for (option, checked) in of(wrong) {
            assert!(checked.is_err(), "{option}");
        }
    }
}
