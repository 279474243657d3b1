//! The words of an expression, where each stands, and the grammar that makes a tree of
//! them: every complaint points at its place.
//!
//! ```text
//! or      = and   { "||" and }
//! and     = equal { "&&" equal }
//! equal   = order [ ("==" | "!=") order ]              not chained
//! order   = sum   [ ("<" | "<=" | ">" | ">=") sum ]    not chained
//! sum     = term  { ("+" | "-") term }
//! term    = unary { ("*" | "/" | "%") unary }
//! unary   = ("-" | "+" | "!") unary | power
//! power   = element [ "^" unary ]
//! element = value { "[" or "]" }
//! value   = number | name | "{" name "}" | "(" or ")" | function "(" or [ "," or ] ")"
//! ```
//!
//! So `-x^2` is `-(x^2)` and `a^b^c` is `a^(b^c)`, as in mathematics, Python and
//! Fortran. Chained comparisons are refused: in C `50 < m < 200` is always true.

use super::error::{ExpressionError, nearest};
use super::tree::{CONSTANTS, Call, FUNCTIONS, Node, Number, Tree, function};
use super::tree::{LEVEL_EQUALITY, LEVEL_ORDER, LEVEL_POWER, OPERATORS, Operator, Unary};
use std::collections::HashMap;
use std::ops::Range;

/// Deepest nesting of parentheses, functions, signs and powers.
pub(super) const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Number(Number),
    /// A bare name: a column, a definition, a function or a constant.
    Name(String),
    /// A name in braces: always a column or a definition.
    Quoted(String),
    Operator(Operator),
    Not,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    word: Word,
    span: Range<usize>,
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
fn tokenize(text: &str) -> Result<Vec<Token>, ExpressionError> {
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
        |length: usize, message: String| Err(ExpressionError::at(text, at..at + length, message));
    // `&&`, `||` and `==` are prefixes of nothing foreign but `===`.
    let mut operators = OPERATORS.iter();
    let native = operators.find(|operator| rest.starts_with(operator.symbol));
    let mut symbols = FOREIGN_SYMBOLS.iter();
    if let Some((symbol, instead)) = symbols.find(|(symbol, _)| rest.starts_with(symbol))
        && native.is_none_or(|operator| operator.symbol.len() < symbol.len())
    {
        let message = format!("`{symbol}` is no operator here; write {instead}");
        return error(symbol.len(), message);
    }
    if let Some(operator) = native {
        return Ok((Word::Operator(*operator), operator.symbol.len()));
    }
    match first {
        '!' => Ok((Word::Not, 1)),
        '(' => Ok((Word::Open, 1)),
        ')' => Ok((Word::Close, 1)),
        '[' => Ok((Word::OpenBracket, 1)),
        ']' => Ok((Word::CloseBracket, 1)),
        ',' => Ok((Word::Comma, 1)),
        '{' => match rest[1..].split_once('}') {
            Some((name, _)) if !name.trim().is_empty() => {
                Ok((Word::Quoted(name.trim().to_owned()), name.len() + 2))
            }
            _ => {
                let message = "`{` starts a column name and has no closing `}` after a name";
                error(1, message.to_owned())
            }
        },
        _ if first.is_ascii_digit() || first == '.' => number(text, at),
        _ if is_name_start(first) => name(text, at),
        _ => error(first.len_utf8(), format!("unexpected character `{first}`")),
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

/// Whether `name` can be written in an expression without braces.
pub fn is_plain_name(name: &str) -> bool {
    name.chars().next().is_some_and(is_name_start)
        && name.chars().all(is_name_part)
        && foreign_word(name).is_none()
        && !CONSTANTS.iter().any(|(constant, _)| name == *constant)
}

/// `name` as an expression has it: in braces where it is no plain name.
pub fn written(name: &str) -> String {
    match is_plain_name(name) {
        true => name.to_owned(),
        false => format!("{{{name}}}"),
    }
}

/// Whether there is a way to write `name` in an expression: braces end at the first `}`, and
/// spaces around what is in them are left out.
pub fn can_be_written(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains('}')
}

fn is_name_part(c: char) -> bool {
    c == '_' || c == '.' || c.is_ascii_digit() || c.is_alphabetic()
}

/// What to write instead of a word of another language.
fn foreign_word(name: &str) -> Option<&'static str> {
    let mut words = FOREIGN_WORDS.iter();
    let found = words.find(|(word, _)| name.eq_ignore_ascii_case(word))?;
    Some(found.1)
}

fn name(text: &str, at: usize) -> Result<(Word, usize), ExpressionError> {
    let rest = &text[at..];
    let length = rest.find(|c: char| !is_name_part(c)).unwrap_or(rest.len());
    let name = &rest[..length];
    let Some(instead) = foreign_word(name) else {
        return Ok((Word::Name(name.to_owned()), length));
    };
    let message = format!(
        "`{name}` is no operator here; write {instead}, or {{{name}}} for a column of this name"
    );
    Err(ExpressionError::at(text, at..at + length, message))
}

/// Digits with an optional point and exponent: `3`, `.5`, `2.`, `1.5e-3`.
fn number(text: &str, at: usize) -> Result<(Word, usize), ExpressionError> {
    let bytes = &text.as_bytes()[at..];
    let digits = |from: usize| {
        let rest = bytes[from..].iter();
        rest.take_while(|b| b.is_ascii_digit()).count()
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
    let written = &rest[..length];
    // What sticks to a number (`2x`, `1.2.3`) belongs to the complaint.
    let end = rest[length..].find(|c: char| !is_name_part(c));
    let end = end.map_or(rest.len(), |stuck| length + stuck);
    let message = if end > length {
        format!("`{}` is neither a number nor a name", &rest[..end])
    } else if written.bytes().all(|b| b.is_ascii_digit()) {
        match written.parse() {
            Ok(value) => return Ok((Word::Number(Number::Integer(value)), length)),
            Err(_) => format!(
                "this integer is too large to be exact; where it may be rounded, write `{written}.`"
            ),
        }
    } else {
        match written.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                return Ok((Word::Number(Number::Real(value)), length));
            }
            Ok(_) => "this number is too large".to_owned(),
            Err(_) => format!("`{written}` is not a number"),
        }
    };
    Err(ExpressionError::at(text, at..at + end, message))
}

/// The complaint about a name that is followed by `(` but is no function.
fn unknown_function(text: &str, span: Range<usize>, name: &str) -> ExpressionError {
    let known = || FUNCTIONS.iter().map(|(name, _)| *name);
    let hint = match name {
        "ln" => "; the natural logarithm is `log`".to_owned(),
        "pow" => "; write `a ^ b`".to_owned(),
        "sqr" => "; write `x ^ 2`".to_owned(),
        "fabs" => "; write `abs`".to_owned(),
        "size" | "length" => "; write `len`".to_owned(),
        "mean" | "average" => "; write `sum(x) / len(x)`".to_owned(),
        "if" | "where" => "; write `(condition) * a + !(condition) * b`".to_owned(),
        _ => match nearest(name, known()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!("; there are: {}", known().collect::<Vec<_>>().join(", ")),
        },
    };
    ExpressionError::at(text, span, format!("unknown function `{name}`{hint}"))
}

/// Splits a whole expression into words, checks their order and makes the tree.
pub(super) fn parse(text: &str) -> Result<Tree, ExpressionError> {
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        next: 0,
        depth: 0,
        known: HashMap::new(),
        tree: Tree::default(),
    };
    if tokens.is_empty() {
        return Err(parser.error(0..text.len(), "the expression is empty"));
    }
    parser.level(1)?;
    match parser.peek() {
        None => Ok(parser.tree),
        Some(token) => Err(parser.unexpected(token)),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    known: HashMap<String, usize>,
    tree: Tree,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    /// The operator that comes next, if it is one of this level.
    fn operator(&self, level: u8) -> Option<Operator> {
        match self.peek()?.word {
            Word::Operator(operator) if operator.level == level => Some(operator),
            _ => None,
        }
    }

    fn before(&self) -> Option<&'a Token> {
        self.tokens.get(self.next.checked_sub(1)?)
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>) -> ExpressionError {
        ExpressionError::at(self.text, span, message.into())
    }

    /// Where something was expected and is not: the next token or the end.
    fn missing_operand(&self) -> ExpressionError {
        let before = match self.before() {
            Some(token) => format!("after `{}`", &self.text[token.span.clone()]),
            None => "at the start".to_owned(),
        };
        let end = self.text.trim_end().len();
        let span = self.peek().map_or(end..end, |token| token.span.clone());
        self.error(span, format!("a value is missing {before}"))
    }

    /// A token that cannot stand after a complete value.
    fn unexpected(&self, token: &Token) -> ExpressionError {
        let span = token.span.clone();
        let message = match (&token.word, self.before()) {
            (Word::Close, _) => "this `)` has no `(` before it".to_owned(),
            (Word::CloseBracket, _) => "this `]` has no `[` before it".to_owned(),
            (Word::Comma, _) => "a comma only separates the two arguments of a function".to_owned(),
            (_, Some(before)) if self.is_function(before) => {
                let name = &self.text[before.span.clone()];
                let message = format!(
                    "the function `{name}` takes its argument in parentheses: `{name}(...)`"
                );
                return self.error(before.span.clone(), message);
            }
            _ => format!(
                "an operator is missing before `{}`",
                &self.text[span.clone()]
            ),
        };
        self.error(span, message)
    }

    fn is_function(&self, token: &Token) -> bool {
        matches!(&token.word, Word::Name(name) if function(name).is_some())
    }

    fn deeper(&mut self, span: &Range<usize>) -> Result<(), ExpressionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(span.clone(), format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    /// Binary operators of `level` and tighter, up to but without the power.
    fn level(&mut self, level: u8) -> Result<(), ExpressionError> {
        if level == LEVEL_POWER {
            return self.unary();
        }
        let start = self.start();
        self.level(level + 1)?;
        let mut chained = false;
        while let Some(operator) = self.operator(level) {
            let word = self.tokens[self.next].span.clone();
            if chained && (level == LEVEL_ORDER || level == LEVEL_EQUALITY) {
                let message = "comparisons cannot be chained; write `a < b && b < c`";
                return Err(self.error(word, message));
            }
            chained = true;
            self.next += 1;
            let left = self.tree.last();
            self.level(level + 1)?;
            let node = Node::Binary(operator.binary);
            self.tree.operation(node, left, word, start..self.end());
        }
        Ok(())
    }

    /// Where the next word starts.
    fn start(&self) -> usize {
        self.peek()
            .map_or(self.text.len(), |token| token.span.start)
    }

    /// Where the last word ended.
    fn end(&self) -> usize {
        self.before().map_or(0, |token| token.span.end)
    }

    fn unary(&mut self) -> Result<(), ExpressionError> {
        let token = self.peek().ok_or_else(|| self.missing_operand())?;
        let operation = match token.word {
            Word::Not => Some(Unary::Not),
            Word::Operator(operator) if operator.symbol == "-" => Some(Unary::Negative),
            Word::Operator(operator) if operator.symbol == "+" => None,
            _ => return self.power(),
        };
        self.next += 1;
        self.deeper(&token.span)?;
        self.unary()?;
        if let Some(operation) = operation {
            let last = self.tree.last();
            let (word, span) = (token.span.clone(), token.span.start..self.end());
            self.tree
                .operation(Node::Unary(operation), last, word, span);
        }
        self.depth -= 1;
        Ok(())
    }

    fn power(&mut self) -> Result<(), ExpressionError> {
        let start = self.start();
        self.element()?;
        if let Some(operator) = self.operator(LEVEL_POWER) {
            let word = self.tokens[self.next].span.clone();
            self.next += 1;
            self.deeper(&word)?;
            let left = self.tree.last();
            self.unary()?;
            let node = Node::Binary(operator.binary);
            self.tree.operation(node, left, word, start..self.end());
            self.depth -= 1;
        }
        Ok(())
    }

    fn element(&mut self) -> Result<(), ExpressionError> {
        let start = self.start();
        self.value()?;
        while let Some(open) = self.peek()
            && open.word == Word::OpenBracket
        {
            self.next += 1;
            self.deeper(&open.span)?;
            let left = self.tree.last();
            self.level(1)?;
            self.close(&open.span, &Word::CloseBracket)?;
            let end = self.end();
            let word = open.span.start..end;
            self.tree.operation(Node::Index, left, word, start..end);
            self.depth -= 1;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), ExpressionError> {
        let token = self.peek().ok_or_else(|| self.missing_operand())?;
        match &token.word {
            Word::Number(value) => self.number(*value, &token.span),
            Word::Quoted(name) => self.variable(name, &token.span),
            Word::Open => {
                self.next += 1;
                self.deeper(&token.span)?;
                self.level(1)?;
                self.close(&token.span, &Word::Close)?;
                self.depth -= 1;
            }
            Word::Name(name) => {
                let next = self.tokens.get(self.next + 1);
                if next.is_some_and(|next| next.word == Word::Open) {
                    return self.call(name, &token.span);
                }
                match CONSTANTS.iter().find(|(constant, _)| constant == name) {
                    Some(&(constant, value)) => {
                        self.tree.constants.push((constant, token.span.clone()));
                        self.number(Number::Real(value), &token.span);
                    }
                    None => self.variable(name, &token.span),
                }
            }
            Word::Operator(_)
            | Word::Not
            | Word::Close
            | Word::OpenBracket
            | Word::CloseBracket
            | Word::Comma => return Err(self.missing_operand()),
        }
        Ok(())
    }

    fn number(&mut self, value: Number, span: &Range<usize>) {
        self.next += 1;
        self.tree.leaf(Node::Number(value), span.clone());
    }

    fn variable(&mut self, name: &str, span: &Range<usize>) {
        self.next += 1;
        let fresh = self.tree.variables.len();
        let index = *self.known.entry(name.to_owned()).or_insert(fresh);
        if index == fresh {
            self.tree.variables.push(name.to_owned());
            self.tree.spans.push(span.clone());
        }
        self.tree.leaf(Node::Variable(index), span.clone());
    }

    fn call(&mut self, name: &str, span: &Range<usize>) -> Result<(), ExpressionError> {
        let call = function(name).ok_or_else(|| unknown_function(self.text, span.clone(), name))?;
        let arguments = match call {
            Call::One(_) | Call::Fold(_) => 1,
            Call::Two(_) | Call::FoldOrTwo(..) => 2,
        };
        let open = self.tokens[self.next + 1].span.clone();
        self.next += 2;
        self.deeper(span)?;
        let mut found = 1;
        self.level(1)?;
        let first = self.tree.last();
        while let Some(comma) = self.peek().filter(|token| token.word == Word::Comma) {
            found += 1;
            if found > arguments {
                let plural = if arguments == 1 { "" } else { "s" };
                let message = format!("`{name}` takes {arguments} argument{plural}");
                return Err(self.error(comma.span.clone(), message));
            }
            self.next += 1;
            self.level(1)?;
        }
        self.close(&open, &Word::Close)?;
        let whole = span.start..self.end();
        let node = match (call, found) {
            (Call::One(unary), _) => Node::Unary(unary),
            (Call::Fold(fold), _) | (Call::FoldOrTwo(fold, _), 1) => Node::Fold(fold),
            (Call::Two(_), 1) => {
                let message = format!("`{name}` takes {arguments} arguments, found {found}");
                return Err(self.error(whole, message));
            }
            (Call::Two(binary) | Call::FoldOrTwo(_, binary), _) => Node::Binary(binary),
        };
        self.tree.operation(node, first, span.clone(), whole);
        self.depth -= 1;
        Ok(())
    }

    /// Takes the word that closes what `open` opened.
    fn close(&mut self, open: &Range<usize>, closing: &Word) -> Result<(), ExpressionError> {
        match self.peek() {
            Some(token) if token.word == *closing => {
                self.next += 1;
                Ok(())
            }
            Some(token) if !matches!(token.word, Word::Close | Word::CloseBracket) => {
                Err(self.unexpected(token))
            }
            _ => {
                let message = format!("this `{}` is never closed", &self.text[open.clone()]);
                Err(self.error(open.clone(), message))
            }
        }
    }
}
