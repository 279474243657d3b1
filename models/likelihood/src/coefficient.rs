//! The coefficient of a process in a mixture: a function `f(parameters)` known from
//! theory and written as text, with exact first and second derivatives.
//!
//! `S: mu - sqrt(mu)`, `SBI: sqrt(mu)` and `B: 1 - sqrt(mu)` are those of signal,
//! background and their interference in one signal strength. The derivative of
//! `sqrt(mu)` has no limit at 0: there `kappa = sqrt(mu)` is fitted instead, see
//! [`Coefficient::with_square`].

mod differentiate;
mod spline;
mod tree;

pub use spline::{Spline, SplineError};

use super::Derivatives;
use sideband_numerics::expression::{Binary, Expression, ExpressionError, nearest};
use std::fmt;
use std::sync::Arc;
use tree::Tree;

/// A function of the parameters of a model.
#[derive(Clone)]
pub struct Coefficient {
    text: String,
    tree: Tree,
    /// Places, in the model, of the parameters that the function uses.
    places: Vec<usize>,
}

impl Coefficient {
    /// Parses `text`, in the grammar of [`Expression`]; `parameters` are the names of
    /// the model's parameters in their order.
    ///
    /// # Errors
    /// If the text is no expression, names something that is no parameter, or uses
    /// what has no derivative: comparisons, logic, rounding, `%`, `atan2`, `hypot`.
    pub fn parse<S: AsRef<str>>(text: &str, parameters: &[S]) -> Result<Self, ExpressionError> {
        let expression = Expression::parse(text)?;
        let is_parameter = |name: &str| parameters.iter().any(|known| known.as_ref() == name);
        if let Some(error) = expression.hidden_by_constant("a parameter", is_parameter) {
            return Err(error);
        }
        let place = |name: &String| {
            let known = || parameters.iter().map(AsRef::as_ref);
            let place = known().position(|parameter| parameter == name);
            place.ok_or_else(|| unknown_parameter(&expression, name, known()))
        };
        let places = expression.variables().iter().map(place);
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let tree = Tree::of(&expression)?;
        Ok(Self {
            text: text.to_owned(),
            tree,
            places,
        })
    }

    /// A function that does not depend on any parameter.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self {
            text: value.to_string(),
            tree: Tree::Number(value),
            places: Vec::new(),
        }
    }

    /// The same function where the parameter in `place` is now the square root of
    /// what the text means by its name: `sqrt(mu)` becomes `kappa`, any other `mu`
    /// becomes `kappa^2`.
    ///
    /// With this `kappa` may also be negative, the other solution of
    /// `kappa^2 = mu`. `mu^0.5` is not recognised as a square root.
    #[must_use]
    pub fn with_square(mut self, place: usize) -> Self {
        if let Some(variable) = self.places.iter().position(|p| *p == place) {
            self.tree = self.tree.squared(variable);
        }
        self
    }

    /// The same function at a shifted parameter: in place of `x`, the parameter in
    /// `place`, stands `x + a d(x)` with `a` the parameter in place `by` and `d` the
    /// `size` of the shift; not below `floor`, if there is one.
    ///
    /// After [`Self::with_square`], `x` is the square root.
    #[must_use]
    pub fn with_shift(
        mut self,
        place: usize,
        by: usize,
        size: &Arc<Spline>,
        floor: Option<f64>,
    ) -> Self {
        let Some(variable) = self.places.iter().position(|p| *p == place) else {
            return self;
        };
        let known = self.places.iter().position(|p| *p == by);
        let factor = known.unwrap_or_else(|| {
            self.places.push(by);
            self.places.len() - 1
        });
        let x = || Box::new(Tree::Variable(variable));
        let size = Tree::Spline(Arc::clone(size), x());
        let factor = Box::new(Tree::Variable(factor));
        let shift = Tree::Binary(Binary::Multiply, factor, Box::new(size));
        let mut moved = Tree::Binary(Binary::Add, x(), Box::new(shift));
        if let Some(floor) = floor {
            let floor = Box::new(Tree::Number(floor));
            moved = Tree::Binary(Binary::Max, Box::new(moved), floor);
        }
        self.tree = self.tree.replaced(variable, &moved);
        self
    }

    /// The text, as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The places of the parameters that the function uses, each once.
    #[must_use]
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The parameter that the function is, if it is nothing else.
    #[must_use]
    pub fn parameter(&self) -> Option<usize> {
        match self.tree {
            Tree::Variable(variable) => self.places.get(variable).copied(),
            _ => None,
        }
    }

    /// The value at a point of all parameters. Not finite outside the function's
    /// domain: the square root or the logarithm of a negative number, a division by
    /// zero.
    #[must_use]
    pub fn value(&self, at: &[f64]) -> f64 {
        self.tree.value(&self.local(at))
    }

    /// Value, gradient and Hessian in the parameters of [`Self::places`].
    #[must_use]
    pub fn derivatives(&self, at: &[f64]) -> Derivatives {
        self.tree.derivatives(&self.local(at))
    }

    fn local(&self, at: &[f64]) -> Vec<f64> {
        self.places.iter().map(|place| at[*place]).collect()
    }
}

impl fmt::Debug for Coefficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Coefficient").field(&self.text).finish()
    }
}

fn unknown_parameter<'a>(
    expression: &Expression,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> ExpressionError {
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.collect::<Vec<_>>().join(", ")),
    };
    ExpressionError {
        text: expression.text().to_owned(),
        span: expression.span_of(name),
        message: format!("there is no parameter `{name}`{hint}"),
    }
}

#[cfg(test)]
mod tests;
