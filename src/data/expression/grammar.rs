//! The grammar: checks the order of the words and translates them for exmex.
//!
//! ```text
//! or      = and   { "||" and }
//! and     = equal { "&&" equal }
//! equal   = order [ ("==" | "!=") order ]              not chained
//! order   = sum   [ ("<" | "<=" | ">" | ">=") sum ]    not chained
//! sum     = term  { ("+" | "-") term }
//! term    = unary { ("*" | "/" | "%") unary }
//! unary   = ("-" | "+" | "!") unary | power
//! power   = value [ "^" unary ]
//! value   = number | name | "{" name "}" | "(" or ")" | function "(" or [ "," or ] ")"
//! ```
//!
//! Two things differ from exmex and are settled by parentheses in the
//! translation: `-x^2` is `-(x^2)` and `a^b^c` is `a^(b^c)`, as in mathematics,
//! Python and Fortran. Chained comparisons are refused: in C `50 < m < 200` is
//! always true.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::tokens::{
    LEVEL_EQUALITY, LEVEL_ORDER, LEVEL_POWER, Operator, Token, Word, unknown_function,
};
use super::{ExpressionError, FUNCTIONS, MAX_DEPTH};

/// What exmex is given, and the names behind its numbered variables.
#[derive(Debug, Default)]
pub(super) struct Translation {
    pub(super) text: String,
    pub(super) variables: Vec<String>,
    /// Where each variable first stands in the user's text.
    pub(super) spans: Vec<Range<usize>>,
}

/// Checks and translates a whole expression.
pub(super) fn translate(text: &str, tokens: &[Token]) -> Result<Translation, ExpressionError> {
    let mut parser = Parser {
        text,
        tokens,
        next: 0,
        depth: 0,
        known: HashMap::new(),
        out: Translation::default(),
    };
    if tokens.is_empty() {
        return Err(ExpressionError::at(
            text,
            0..text.len(),
            "the expression is empty".into(),
        ));
    }
    parser.level(1)?;
    match parser.peek() {
        None => Ok(parser.out),
        Some(token) => Err(parser.unexpected(token)),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    known: HashMap<String, usize>,
    out: Translation,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn peek_operator(&self) -> Option<Operator> {
        match self.peek()?.word {
            Word::Operator(operator) => Some(operator),
            _ => None,
        }
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>) -> ExpressionError {
        ExpressionError::at(self.text, span, message.into())
    }

    fn end(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        end..end
    }

    /// Where something was expected and is not: the next token or the end.
    fn missing_operand(&self) -> ExpressionError {
        let before = match self.next.checked_sub(1).and_then(|i| self.tokens.get(i)) {
            Some(token) => format!("after `{}`", &self.text[token.span.clone()]),
            None => "at the start".to_owned(),
        };
        let span = self
            .peek()
            .map_or_else(|| self.end(), |token| token.span.clone());
        self.error(span, format!("a value is missing {before}"))
    }

    /// A token that cannot stand after a complete value.
    fn unexpected(&self, token: &Token) -> ExpressionError {
        let written = &self.text[token.span.clone()];
        let before = self.next.checked_sub(1).and_then(|i| self.tokens.get(i));
        match &token.word {
            Word::Close => self.error(token.span.clone(), "this `)` has no `(` before it"),
            Word::Comma => self.error(
                token.span.clone(),
                "a comma only separates the two arguments of a function",
            ),
            _ => {
                if let Some(Token {
                    word: Word::Name(name),
                    span,
                }) = before
                    && is_function(name)
                {
                    let message = format!(
                        "the function `{name}` takes its argument in parentheses: `{name}(...)`"
                    );
                    return self.error(span.clone(), message);
                }
                self.error(
                    token.span.clone(),
                    format!("an operator is missing before `{written}`"),
                )
            }
        }
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
        self.level(level + 1)?;
        let mut chained = false;
        while let Some(operator) = self
            .peek_operator()
            .filter(|operator| operator.level == level)
        {
            if chained && (level == LEVEL_ORDER || level == LEVEL_EQUALITY) {
                let span = self.tokens[self.next].span.clone();
                return Err(self.error(
                    span,
                    "comparisons cannot be chained; write `a < b && b < c`",
                ));
            }
            chained = true;
            self.next += 1;
            let _ = write!(self.out.text, " {} ", operator.symbol);
            self.level(level + 1)?;
        }
        Ok(())
    }

    fn unary(&mut self) -> Result<(), ExpressionError> {
        let token = self.peek().ok_or_else(|| self.missing_operand())?;
        let function = match token.word {
            Word::Not => "not",
            Word::Operator(operator) if operator.symbol == "-" => "neg",
            Word::Operator(operator) if operator.symbol == "+" => "",
            _ => return self.power(),
        };
        self.next += 1;
        self.deeper(&token.span)?;
        let _ = write!(self.out.text, "({function}(");
        self.unary()?;
        self.out.text.push_str("))");
        self.depth -= 1;
        Ok(())
    }

    fn power(&mut self) -> Result<(), ExpressionError> {
        let start = self.out.text.len();
        self.value()?;
        if self
            .peek_operator()
            .is_none_or(|operator| operator.level != LEVEL_POWER)
        {
            return Ok(());
        }
        let span = self.tokens[self.next].span.clone();
        self.next += 1;
        self.deeper(&span)?;
        self.out.text.insert(start, '(');
        self.out.text.push('^');
        self.unary()?;
        self.out.text.push(')');
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self) -> Result<(), ExpressionError> {
        let token = self.peek().ok_or_else(|| self.missing_operand())?;
        match &token.word {
            Word::Number(value) => self.number(*value),
            Word::Quoted(name) => self.variable(name, &token.span),
            Word::Open => {
                self.next += 1;
                self.deeper(&token.span)?;
                self.out.text.push('(');
                self.level(1)?;
                self.close(&token.span)?;
                self.out.text.push(')');
                self.depth -= 1;
            }
            Word::Name(name) => {
                let called = matches!(
                    self.tokens.get(self.next + 1),
                    Some(Token {
                        word: Word::Open,
                        ..
                    })
                );
                if called {
                    return self.call(name, &token.span);
                }
                match name.as_str() {
                    "pi" => self.number(std::f64::consts::PI),
                    _ => self.variable(name, &token.span),
                }
            }
            Word::Operator(_) | Word::Not | Word::Close | Word::Comma => {
                return Err(self.missing_operand());
            }
        }
        Ok(())
    }

    fn number(&mut self, value: f64) {
        self.next += 1;
        let _ = write!(self.out.text, "{value:e}");
    }

    fn variable(&mut self, name: &str, span: &Range<usize>) {
        self.next += 1;
        let fresh = self.out.variables.len();
        let index = *self.known.entry(name.to_owned()).or_insert(fresh);
        if index == fresh {
            self.out.variables.push(name.to_owned());
            self.out.spans.push(span.clone());
        }
        // exmex orders variables by name; four digits keep ours.
        let _ = write!(self.out.text, "{{v{index:04}}}");
    }

    fn call(&mut self, name: &str, span: &Range<usize>) -> Result<(), ExpressionError> {
        let Some(&(function, arguments, _)) = FUNCTIONS.iter().find(|function| function.0 == name)
        else {
            return Err(unknown_function(self.text, span.clone(), name));
        };
        let open = self.tokens[self.next + 1].span.clone();
        self.next += 2;
        self.deeper(span)?;
        // exmex cannot nest the call form of binary functions, so `min(a, b)`
        // goes to it as `((a) min (b))`.
        self.out
            .text
            .push_str(if arguments == 1 { "(" } else { "((" });
        if arguments == 1 {
            self.out.text.push_str(function);
            self.out.text.push('(');
        }
        let mut found = 1;
        self.level(1)?;
        while let Some(Token {
            word: Word::Comma,
            span: comma,
        }) = self.peek()
        {
            found += 1;
            if found > arguments {
                let plural = if arguments == 1 {
                    "argument"
                } else {
                    "arguments"
                };
                return Err(self.error(
                    comma.clone(),
                    format!("`{name}` takes {arguments} {plural}"),
                ));
            }
            self.next += 1;
            let _ = write!(self.out.text, ") {function} (");
            self.level(1)?;
        }
        self.close(&open)?;
        if found < arguments {
            let whole = span.start..self.tokens[self.next - 1].span.end;
            return Err(self.error(
                whole,
                format!("`{name}` takes {arguments} arguments, found {found}"),
            ));
        }
        self.out.text.push_str("))");
        self.depth -= 1;
        Ok(())
    }

    fn close(&mut self, open: &Range<usize>) -> Result<(), ExpressionError> {
        match self.peek() {
            Some(Token {
                word: Word::Close, ..
            }) => {
                self.next += 1;
                Ok(())
            }
            None => Err(self.error(open.clone(), "this `(` is never closed")),
            Some(token) => Err(self.unexpected(token)),
        }
    }
}

fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.0 == name)
}
