//! Lists where numbers are needed and numbers where lists are, found before there is any
//! row: what to write instead.

use super::Expression;
use super::column::{Column, Shape};
use super::error::ExpressionError;
use super::grammar::is_single_word;
use super::lane::Problem;
use super::tree::{Fault, Fold, Node};

impl Expression {
    /// What it has for every row where its variables, in the order of
    /// [`Self::variables`], have these.
    ///
    /// # Errors
    /// If a function or brackets are of something that they cannot be of.
    pub fn shape(&self, variables: &[Shape]) -> Result<Shape, ExpressionError> {
        let variables = variables.iter().map(|shape| Column::empty(*shape));
        let fault = match self.evaluate(&variables.collect::<Vec<_>>()) {
            Ok(column) => return Ok(column.shape()),
            Err(fault) => fault,
        };
        match fault.and_then(|fault| self.misuse(&fault)) {
            Some(error) => Err(error),
            // an integer that is too large: said of the row that it is met on
            None => Ok(Shape::NUMBER),
        }
    }

    /// The complaint about lists and numbers in each other's places; none of what is wrong
    /// with some rows alone.
    pub fn misuse(&self, fault: &Fault<Problem>) -> Option<ExpressionError> {
        let operand = |second| {
            let (span, _) = self.operand_of(fault, second);
            &self.text()[span]
        };
        let of = operand(false);
        let message = match fault.problem {
            Problem::NotList => match self.tree.steps[fault.step].node {
                Node::Fold(fold) => {
                    let word = &self.text()[self.word_of(fault)];
                    let both = match fold {
                        Fold::Min | Fold::Max => format!("; of two numbers it is `{word}(a, b)`"),
                        _ => String::new(),
                    };
                    format!("`{word}` makes a number of a list, and `{of}` is a number{both}")
                }
                _ => format!("`{of}` is a number and has no elements: leave the brackets out"),
            },
            Problem::NotMask => format!(
                "the list `{}` in brackets is neither a place nor a truth for every element: \
                 write one place, counted from 0, or a condition such as `{}[{of} > 0]`",
                operand(true),
                factor(of),
            ),
            Problem::NoPlace { row: None, value } => {
                let last = match value < 0.0 {
                    true => format!("; the last is `{}[len({of}) - 1]`", factor(of)),
                    false => String::new(),
                };
                let at = operand(true);
                format!("`{at}` is no place in a list: elements are counted 0, 1, 2{last}")
            }
            _ => return None,
        };
        let span = self.span_of_fault(fault);
        Some(ExpressionError::at(self.text(), span, message))
    }

    /// The complaint that all of it is a list, where a number is needed.
    pub fn refuse_list(&self, shape: Shape) -> ExpressionError {
        let text = self.text().trim();
        let of_all = |word: &str| {
            let (open, close) = (format!("{word}("), ")");
            let depth = shape.depth;
            format!("`{}{text}{}`", open.repeat(depth), close.repeat(depth))
        };
        let words = match shape.truths {
            true => ["any", "all", "count"],
            false => ["max", "sum", "len"],
        };
        let message = format!(
            "`{text}` is {shape} for every event, and a number is needed: write one element, \
             `{}{}`, or a number of all: {}",
            factor(text),
            "[0]".repeat(shape.depth),
            words.map(of_all).join(", ")
        );
        ExpressionError::at(self.text(), 0..self.text().len(), message)
    }
}

/// A text that brackets can stand behind.
fn factor(text: &str) -> String {
    match is_single_word(text) {
        true => text.to_owned(),
        false => format!("({text})"),
    }
}
