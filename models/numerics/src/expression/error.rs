//! What is wrong in an expression, shown in its text.

use std::fmt;
use std::ops::Range;

/// Columns printed around the place of an error in a long expression.
const SHOWN_AROUND: usize = 60;
/// Least similarity (Jaro-Winkler, 0 to 1) at which a name is suggested.
const LEAST_SIMILARITY: f64 = 0.7;

/// What is wrong in an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The whole expression.
    pub text: String,
    /// The offending bytes of `text`; empty at a place where something is missing.
    pub span: Range<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl ExpressionError {
    /// An error at a span of a text.
    pub fn at(text: &str, span: Range<usize>, message: String) -> Self {
        Self {
            text: text.to_owned(),
            span,
            message,
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Line breaks and tabs would part the caret from its place.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let shown: Vec<char> = self.text.chars().map(plain).collect();
        let place = |byte: usize| {
            let before = self.text.char_indices();
            before.take_while(|&(i, _)| i < byte).count()
        };
        let (start, end) = (place(self.span.start), place(self.span.end));
        let from = start.saturating_sub(SHOWN_AROUND);
        let to = shown.len().min(start + SHOWN_AROUND);
        let left = if from > 0 { "..." } else { "" };
        let right = if to < shown.len() { "..." } else { "" };
        let line: String = shown[from..to].iter().collect();
        let carets = end.min(to).saturating_sub(start).max(1);
        writeln!(f, "{}", self.message)?;
        writeln!(f, "    {left}{line}{right}")?;
        let indent = " ".repeat(left.len() + start - from);
        write!(f, "    {indent}{}", "^".repeat(carets))
    }
}

impl std::error::Error for ExpressionError {}

/// The candidate most similar to `name`, if any is similar at all.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        let similarity = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        (similarity, candidate)
    });
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= LEAST_SIMILARITY).then_some(best.1)
}
