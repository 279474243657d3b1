//! Text, numbers and tables as LaTeX has them.

use super::numbers;

/// A text without characters that LaTeX takes for commands.
pub(crate) fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if "&%$#_{}".contains(c) {
            text.push('\\');
        }
        match c {
            '~' => text.push_str("\\textasciitilde{}"),
            '^' => text.push_str("\\textasciicircum{}"),
            '\\' => text.push_str("\\textbackslash{}"),
            c => text.push(c),
        }
    }
    text
}

/// A number with its error, as far as there are any; a dash for none.
pub(crate) fn number(value: Option<f64>, error: Option<f64>) -> String {
    match (value, error) {
        (Some(value), Some(error)) => {
            format!("${}$", numbers::joined(value, &[error], " \\pm "))
        }
        (Some(value), None) => format!("${}$", numbers::number(value)),
        (None, _) => "--".to_owned(),
    }
}

/// A table, the header first. Its cells are LaTeX already; the first column begins at the left, all
/// others end at the right.
pub(crate) fn tabular(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let line = |row: &Vec<String>| row.join(" & ") + " \\\\\n";
    let mut lines = rows.iter().map(line);
    let header = lines.next().unwrap_or_default();
    format!(
        "\\begin{{tabular}}{{l{}}}\n\\hline\n{header}\\hline\n{}\\hline\n\\end{{tabular}}\n",
        "r".repeat(columns.saturating_sub(1)),
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_numbers_with_errors() {
        let head = ["", "events"].map(str::to_owned).to_vec();
        let row = vec![escape("t_{1} & 5 %"), number(Some(8.7614), Some(0.4173))];
        let table = "\\begin{tabular}{lr}\n\\hline\n & events \\\\\n\\hline\n\
                     t\\_\\{1\\} \\& 5 \\% & $8.76 \\pm 0.42$ \\\\\n\\hline\n\\end{tabular}\n";
        assert_eq!(tabular(&[head, row]), table);
        assert_eq!(number(Some(2.5), None), "$2.500$");
        assert_eq!(number(None, Some(1.0)), "--");
    }
}
