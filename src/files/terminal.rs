//! Text on its way to a terminal. Names of columns and files, what other programs
//! say and what lies in a run directory may be anybody's: characters that a
//! terminal would act on, or that change the order or the look of the text around
//! them, are shown as numbers. Everything that the program says goes through here.

use std::borrow::Cow;
use std::io::Write;

/// Whether a terminal, or the arrangement of text, takes a character as a command.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // no space of their own, direction, separators of lines
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                // invisible letters
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn push(c: char, text: &mut String) {
    match u32::from(c) {
        n @ 0..=0xff => text.push_str(&format!("\\x{n:02x}")),
        n => text.push_str(&format!("\\u{{{n:x}}}")),
    }
}

fn replace(text: &str, keep: impl Fn(char) -> bool, push: fn(char, &mut String)) -> Cow<'_, str> {
    let is_bad = |c: char| is_command(c) && !keep(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_bad(c) {
            push(c, &mut clean);
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Lines of text as a terminal may have them.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    replace(text, |c| c == '\n', push)
}

/// A text that has to stay in one line, such as a cell of a table.
pub(crate) fn escape_line(text: &str) -> Cow<'_, str> {
    replace(text, |_| false, push)
}

/// JSON as a terminal may have it: the same values, with the characters that JSON
/// itself lets through as `\u` escapes.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    replace(
        json,
        |c| c == '\n',
        |c, text| {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        },
    )
}

/// Says something on stderr; one that is closed stops nothing.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", escape(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_left_that_a_terminal_acts_on() {
        for n in 0..=0x0010_ffff_u32 {
            let Some(c) = char::from_u32(n) else { continue };
            let text = format!("a{c}b");
            let (lines, line) = (escape(&text), escape_line(&text));
            assert!(!line.chars().any(is_command), "{n:x}");
            assert_eq!(lines == text, !is_command(c) || c == '\n', "{n:x}");
            if is_command(c) {
                let json = serde_json::to_string(&text).unwrap();
                let shown = escape_json(&json);
                assert!(!shown.chars().any(is_command), "{n:x}");
                assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
            }
        }
        assert_eq!(
            escape("\x1b]0;x\x07\u{9b}2J\u{202e}"),
            r"\x1b]0;x\x07\x9b2J\u{202e}"
        );
        assert_eq!(escape("pₜ (GeV) é – ↔ µ"), "pₜ (GeV) é – ↔ µ");
        assert_eq!(escape_line("a\nb\tc"), r"a\x0ab\x09c");
    }
}
