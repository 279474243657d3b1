//! The grammar: checks the order of the words and makes the tree of them.
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
//! So `-x^2` is `-(x^2)` and `a^b^c` is `a^(b^c)`, as in mathematics, Python and
//! Fortran. Chained comparisons are refused: in C `50 < m < 200` is always true.

use std::collections::HashMap;
use std::ops::Range;

use super::number::Number;
use super::operators::{
    CONSTANTS, Call, LEVEL_EQUALITY, LEVEL_ORDER, LEVEL_POWER, Operator, Unary, call,
};
use super::tokens::{Token, Word, unknown_function};
use super::tree::{Node, Tree};
use super::{ExpressionError, MAX_DEPTH};

/// A tree, and the names behind its numbered variables.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) tree: Tree,
    pub(super) variables: Vec<String>,
    /// Where each variable first stands in the text.
    pub(super) spans: Vec<Range<usize>>,
    /// Names that were taken for constants, and where.
    pub(super) constants: Vec<(&'static str, Range<usize>)>,
}

/// Checks a whole expression and makes its tree.
pub(super) fn parse(text: &str, tokens: &[Token]) -> Result<Parsed, ExpressionError> {
    let mut parser = Parser {
        text,
        tokens,
        next: 0,
        depth: 0,
        known: HashMap::new(),
        out: Parsed::default(),
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
    out: Parsed,
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
                    && call(name).is_some()
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
            let word = self.tokens[self.next].span.clone();
            if chained && (level == LEVEL_ORDER || level == LEVEL_EQUALITY) {
                return Err(self.error(
                    word,
                    "comparisons cannot be chained; write `a < b && b < c`",
                ));
            }
            chained = true;
            self.next += 1;
            let left = self.out.tree.last();
            self.level(level + 1)?;
            self.binary(operator, left, word);
        }
        Ok(())
    }

    /// Adds the operator between the value that ended with step `left` and the last.
    fn binary(&mut self, operator: Operator, left: usize, word: Range<usize>) {
        let tree = &mut self.out.tree;
        let right = tree.last();
        let span = tree.steps[left].span.start..tree.steps[right].span.end;
        tree.binary(operator.binary, left, word, span);
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
            let tree = &mut self.out.tree;
            let span = token.span.start..tree.steps[tree.last()].span.end;
            tree.unary(operation, token.span.clone(), span);
        }
        self.depth -= 1;
        Ok(())
    }

    fn power(&mut self) -> Result<(), ExpressionError> {
        self.value()?;
        let Some(operator) = self
            .peek_operator()
            .filter(|operator| operator.level == LEVEL_POWER)
        else {
            return Ok(());
        };
        let word = self.tokens[self.next].span.clone();
        self.next += 1;
        self.deeper(&word)?;
        let left = self.out.tree.last();
        self.unary()?;
        self.binary(operator, left, word);
        self.depth -= 1;
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
                self.close(&token.span)?;
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
                match CONSTANTS.iter().find(|(constant, _)| constant == name) {
                    Some(&(constant, value)) => {
                        self.out.constants.push((constant, token.span.clone()));
                        self.number(Number::Real(value), &token.span);
                    }
                    None => self.variable(name, &token.span),
                }
            }
            Word::Operator(_) | Word::Not | Word::Close | Word::Comma => {
                return Err(self.missing_operand());
            }
        }
        Ok(())
    }

    fn number(&mut self, value: Number, span: &Range<usize>) {
        self.next += 1;
        self.out.tree.leaf(Node::Number(value), span.clone());
    }

    fn variable(&mut self, name: &str, span: &Range<usize>) {
        self.next += 1;
        let fresh = self.out.variables.len();
        let index = *self.known.entry(name.to_owned()).or_insert(fresh);
        if index == fresh {
            self.out.variables.push(name.to_owned());
            self.out.spans.push(span.clone());
        }
        self.out.tree.leaf(Node::Variable(index), span.clone());
    }

    fn call(&mut self, name: &str, span: &Range<usize>) -> Result<(), ExpressionError> {
        let function = call(name).ok_or_else(|| unknown_function(self.text, span.clone(), name))?;
        let arguments = function.arguments();
        let open = self.tokens[self.next + 1].span.clone();
        self.next += 2;
        self.deeper(span)?;
        let mut found = 1;
        self.level(1)?;
        let first = self.out.tree.last();
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
            self.level(1)?;
        }
        self.close(&open)?;
        let whole = span.start..self.tokens[self.next - 1].span.end;
        if found < arguments {
            return Err(self.error(
                whole,
                format!("`{name}` takes {arguments} arguments, found {found}"),
            ));
        }
        match function {
            Call::One(unary) => self.out.tree.unary(unary, span.clone(), whole),
            Call::Two(binary) => self.out.tree.binary(binary, first, span.clone(), whole),
        }
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
