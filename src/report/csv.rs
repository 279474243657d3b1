//! Tables as CSV (RFC 4180).

/// A line of cells.
pub(crate) fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\n"
}

/// A cell: in quotes where it would end one otherwise.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_cell_is_in_quotes() {
        for (cells, expected) in [
            (&["a", "", "1.5"][..], "a,,1.5\n"),
            (&["a,b", "say \"x\""], "\"a,b\",\"say \"\"x\"\"\"\n"),
            (&["a\nb", "c\rd"], "\"a\nb\",\"c\rd\"\n"),
        ] {
            assert_eq!(line(cells.iter().copied()), expected);
        }
    }
}
