//! The tree of a coefficient: that of its expression, which can be changed and has
//! derivatives.

use super::spline::Spline;
use sideband_numerics::expression::{Binary, Expression, ExpressionError, Number, Unary, Value};
use std::sync::Arc;

/// A node with all below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Number(f64),
    /// By number, in the order of [`Expression::variables`].
    Variable(usize),
    /// None of those without a derivative.
    Unary(Unary, Box<Tree>),
    /// None of those without a derivative.
    Binary(Binary, Box<Tree>, Box<Tree>),
    /// A tabulated function.
    Spline(Arc<Spline>, Box<Tree>),
}

/// Why an expression is no coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// An operation without a derivative.
    Rough,
    /// An integer that would be rounded.
    Inexact,
}

impl Value for Tree {
    type Problem = Unfit;

    fn number(number: Number) -> Result<Self, Unfit> {
        number.to_f64().map(Self::Number).ok_or(Unfit::Inexact)
    }

    fn unary(operation: Unary, of: Self) -> Result<Self, Unfit> {
        match operation {
            Unary::Not | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign => {
                Err(Unfit::Rough)
            }
            _ => Ok(Self::Unary(operation, Box::new(of))),
        }
    }

    fn binary(operation: Binary, left: Self, right: Self) -> Result<Self, Unfit> {
        match operation {
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Power
            | Binary::Min
            | Binary::Max => Ok(Self::Binary(operation, Box::new(left), Box::new(right))),
            _ => Err(Unfit::Rough),
        }
    }
}

impl Tree {
    /// The tree of an expression.
    pub(super) fn of(expression: &Expression) -> Result<Self, ExpressionError> {
        let names = expression.variables();
        let variables: Vec<Self> = (0..names.len()).map(Self::Variable).collect();
        expression.evaluate(&variables).map_err(|fault| {
            let text = expression.text();
            let span = fault.as_ref().map(|fault| expression.word_of(fault));
            let span = span.unwrap_or(0..text.len());
            let why = match fault.map(|fault| fault.problem) {
                Some(Unfit::Inexact) => "as a floating-point number it would be rounded",
                _ => "a coefficient must have derivatives",
            };
            let message = format!("`{}` cannot be used here: {why}", &text[span.clone()]);
            ExpressionError {
                text: text.to_owned(),
                span,
                message,
            }
        })
    }

    /// The tree in which `variable` stands for the square root of what it was.
    pub(super) fn squared(self, variable: usize) -> Self {
        match self {
            Self::Unary(Unary::Sqrt, of) if *of == Self::Variable(variable) => *of,
            Self::Variable(found) if found == variable => {
                let twin = || Box::new(Self::Variable(variable));
                Self::Binary(Binary::Multiply, twin(), twin())
            }
            Self::Unary(function, of) => Self::Unary(function, Box::new(of.squared(variable))),
            Self::Binary(function, left, right) => Self::Binary(
                function,
                Box::new(left.squared(variable)),
                Box::new(right.squared(variable)),
            ),
            Self::Spline(spline, of) => Self::Spline(spline, Box::new(of.squared(variable))),
            Self::Number(_) | Self::Variable(_) => self,
        }
    }

    /// The tree with another in place of a variable.
    pub(super) fn replaced(self, variable: usize, by: &Self) -> Self {
        match self {
            Self::Variable(found) if found == variable => by.clone(),
            Self::Unary(function, of) => Self::Unary(function, Box::new(of.replaced(variable, by))),
            Self::Binary(function, left, right) => Self::Binary(
                function,
                Box::new(left.replaced(variable, by)),
                Box::new(right.replaced(variable, by)),
            ),
            Self::Spline(spline, of) => Self::Spline(spline, Box::new(of.replaced(variable, by))),
            Self::Number(_) | Self::Variable(_) => self,
        }
    }
}
