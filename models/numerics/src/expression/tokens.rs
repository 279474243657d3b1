//! The words of an expression and where each stands, so that every complaint
//! can point at its place.

use std::ops::Range;

use super::number::Number;
use super::operators::{CONSTANTS, FUNCTIONS, OPERATORS, Operator};
use super::{ExpressionError, nearest};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Number(Number),
    /// A bare name: a column, a definition, a function or a constant.
    Name(String),
    /// A name in braces: always a column or a definition.
    Quoted(String),
    Operator(Operator),
    Not,
    Open,
    Close,
    Comma,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) span: Range<usize>,
}

/// Spellings of other languages, and what to write here instead.
const FOREIGN_SYMBOLS: [(&str, &str); 9] = [
    ("===", "`==`"),
    ("**", "`^`"),
    ("<>", "`!=`"),
    ("=<", "`<=`"),
    ("=>", "`>=`"),
    ("=", "`==`"),
    ("&", "`&&`"),
    ("|", "`||`"),
    ("~", "`!`"),
];

const FOREIGN_WORDS: [(&str, &str); 3] = [("and", "`&&`"), ("or", "`||`"), ("not", "`!`")];

/// Splits `text` into tokens; the first thing that is no token is the error.
pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (word, length) = next_word(text, at, first)?;
        tokens.push(Token {
            word,
            span: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

/// Whether a text is nothing but a name or a number, part of one or not.
pub fn is_single_word(text: &str) -> bool {
    matches!(tokenize(text).as_deref(), Ok([_])) || text.chars().all(is_name_part)
}

/// The words of a text, and for each whether it is a bare name; none if it is no
/// expression.
pub fn words_of(text: &str) -> Vec<(bool, Range<usize>)> {
    let tokens = tokenize(text).unwrap_or_default();
    let word = |token: Token| (matches!(token.word, Word::Name(_)), token.span);
    tokens.into_iter().map(word).collect()
}

fn next_word(text: &str, at: usize, first: char) -> Result<(Word, usize), ExpressionError> {
    let rest = &text[at..];
    let error =
        |length: usize, message: String| ExpressionError::at(text, at..at + length, message);

    // `&&`, `||` and `==` are prefixes of nothing foreign but `===`.
    let native = OPERATORS
        .iter()
        .find(|operator| rest.starts_with(operator.symbol));
    let foreign = FOREIGN_SYMBOLS
        .iter()
        .find(|(symbol, _)| rest.starts_with(symbol));
    if let Some((symbol, instead)) = foreign
        && native.is_none_or(|operator| operator.symbol.len() < symbol.len())
    {
        return Err(error(
            symbol.len(),
            format!("`{symbol}` is no operator here; write {instead}"),
        ));
    }
    if let Some(operator) = native {
        return Ok((Word::Operator(*operator), operator.symbol.len()));
    }
    match first {
        '!' => Ok((Word::Not, 1)),
        '(' => Ok((Word::Open, 1)),
        ')' => Ok((Word::Close, 1)),
        ',' => Ok((Word::Comma, 1)),
        '{' => quoted(rest).ok_or_else(|| {
            error(
                1,
                "`{` starts a column name and has no closing `}` after a name".into(),
            )
        }),
        _ if first.is_ascii_digit() || first == '.' => number(text, at),
        _ if is_name_start(first) => name(text, at),
        _ => Err(error(
            first.len_utf8(),
            format!("unexpected character `{first}`"),
        )),
    }
}

fn quoted(rest: &str) -> Option<(Word, usize)> {
    let end = rest.find('}')?;
    let name = rest[1..end].trim();
    (!name.is_empty()).then(|| (Word::Quoted(name.to_owned()), end + 1))
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// Whether `name` can be written in an expression without braces.
pub fn is_plain_name(name: &str) -> bool {
    name.chars().next().is_some_and(is_name_start)
        && name.chars().all(is_name_part)
        && !FOREIGN_WORDS
            .iter()
            .any(|(word, _)| name.eq_ignore_ascii_case(word))
        && !CONSTANTS.iter().any(|(constant, _)| name == *constant)
}

/// `name` as an expression has it: in braces where it is no plain name.
pub fn written(name: &str) -> String {
    match is_plain_name(name) {
        true => name.to_owned(),
        false => format!("{{{name}}}"),
    }
}

fn is_name_part(c: char) -> bool {
    c == '_' || c == '.' || c.is_ascii_digit() || c.is_alphabetic()
}

fn name(text: &str, at: usize) -> Result<(Word, usize), ExpressionError> {
    let rest = &text[at..];
    let length = rest.find(|c: char| !is_name_part(c)).unwrap_or(rest.len());
    let name = &rest[..length];
    match FOREIGN_WORDS
        .iter()
        .find(|(word, _)| name.eq_ignore_ascii_case(word))
    {
        Some((_, instead)) => Err(ExpressionError::at(
            text,
            at..at + length,
            format!(
                "`{name}` is no operator here; write {instead}, or {{{name}}} for a column of \
                 this name"
            ),
        )),
        None => Ok((Word::Name(name.to_owned()), length)),
    }
}

/// Digits with an optional point and exponent: `3`, `.5`, `2.`, `1.5e-3`.
fn number(text: &str, at: usize) -> Result<(Word, usize), ExpressionError> {
    let bytes = &text.as_bytes()[at..];
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let rest = &text[at..];
    // What sticks to a number (`2x`, `1.2.3`) belongs to the complaint.
    let stuck = rest[length..]
        .find(|c: char| !is_name_part(c))
        .unwrap_or(rest.len() - length);
    let span = at..at + length + stuck;
    if stuck > 0 {
        let whole = &rest[..length + stuck];
        return Err(ExpressionError::at(
            text,
            span,
            format!("`{whole}` is neither a number nor a name"),
        ));
    }
    let written = &rest[..length];
    let error = |message: String| ExpressionError::at(text, span.clone(), message);
    if written.bytes().all(|b| b.is_ascii_digit()) {
        return match written.parse() {
            Ok(value) => Ok((Word::Number(Number::Integer(value)), length)),
            Err(_) => Err(error(format!(
                "this integer is too large to be exact; where it may be rounded, write `{written}.`"
            ))),
        };
    }
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Word::Number(Number::Real(value)), length)),
        Ok(_) => Err(error("this number is too large".into())),
        Err(_) => Err(error(format!("`{written}` is not a number"))),
    }
}

/// The complaint about a name that is followed by `(` but is no function.
pub(super) fn unknown_function(text: &str, span: Range<usize>, name: &str) -> ExpressionError {
    let known = || FUNCTIONS.iter().map(|function| function.0);
    let hint = match name {
        "ln" => "; the natural logarithm is `log`".to_owned(),
        "pow" => "; write `a ^ b`".to_owned(),
        "sqr" => "; write `x ^ 2`".to_owned(),
        "fabs" => "; write `abs`".to_owned(),
        "if" | "where" => "; write `(condition) * a + !(condition) * b`".to_owned(),
        _ => match nearest(name, known()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!("; there are: {}", known().collect::<Vec<_>>().join(", ")),
        },
    };
    ExpressionError::at(text, span, format!("unknown function `{name}`{hint}"))
}
