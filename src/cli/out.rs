//! What commands print: results, and nothing else, to stdout.

use super::exit::Exit;
use crate::error::{Context, Error, Kind, Result};
use crate::files::{terminal, to_text};
use crate::report::page::{PageVerdict, plain};
use std::io::Write;

/// How a command ends.
pub(super) type Done = Result<Exit>;

/// Prints a result, after which all is well.
pub(super) fn print(text: &str) -> Done {
    print_as_it_is(&terminal::escape(text))
}

/// Prints conclusions, each behind its word in a column of this width.
pub(super) fn print_verdict(lines: &[PageVerdict], column: usize) -> Done {
    for line in lines {
        let (word, text) = (line.status.word(), plain(&line.text));
        print(&format!("{word:column$} {text}"))?;
    }
    Ok(Exit::Ok)
}

/// Prints a result as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Done {
    let text = to_text(value, true).of(Kind::Internal)?;
    print_as_it_is(&terminal::escape_json(&text))
}

/// Prints text that is the program's own.
pub(super) fn print_as_it_is(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("cannot write to stdout: {error}")))
        }
        // a reader that has seen enough is no error
        _ => Ok(Exit::Ok),
    }
}

/// A text in lines of at most so many characters, broken between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let length = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A table of texts, columns aligned; numbers to the right.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    // a line break in a name is not one of the table
    let cell = |row: &[String], c: usize| -> String {
        let text = row.get(c).map_or("", String::as_str);
        terminal::escape_line(text).into_owned()
    };
    let length = |text: &str| text.chars().count();
    let width = |c: usize| {
        let cells = rows.iter().map(|r| length(&cell(r, c)));
        cells.fold(length(header[c]), usize::max)
    };
    let width: Vec<usize> = (0..columns).map(width).collect();
    let starts_number = |c: char| c.is_ascii_digit() || "-–".contains(c);
    let is_number = |c: usize| rows.iter().all(|r| cell(r, c).starts_with(starts_number));
    let is_number: Vec<bool> = (0..columns).map(is_number).collect();
    let line = |cells: Vec<String>| -> String {
        let pad = |(c, text): (usize, &String)| {
            let fill = " ".repeat(width[c].saturating_sub(length(text)));
            match is_number[c] {
                true => fill + text,
                false => text.clone() + &fill,
            }
        };
        let padded: Vec<String> = cells.iter().enumerate().map(pad).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.iter().map(|h| (*h).to_owned()).collect())];
    lines.push("-".repeat(width.iter().sum::<usize>() + 2 * (columns.max(1) - 1)));
    lines.extend(
        rows.iter()
            .map(|r| line((0..columns).map(|c| cell(r, c)).collect())),
    );
    lines.join("\n")
}
