//! The coefficient of a process in a mixture: a function `f(parameters)` known from
//! theory and written as text, with exact first and second derivatives.
//!
//! `S: mu - sqrt(mu)`, `SBI: sqrt(mu)` and `B: 1 - sqrt(mu)` are those of signal,
//! background and their interference in one signal strength. The derivative of
//! `sqrt(mu)` has no limit at 0: there `kappa = sqrt(mu)` is fitted instead, see
//! [`Coefficient::with_square`]. Where `abs`, `min` and `max` have a kink, the slope along
//! every parameter is that just above it.

mod spline;
pub use spline::Spline;

use crate::Jet;
use sideband_numerics::expression::{
    Binary, Expression, ExpressionError, Fold, Number, Unary, Value, nearest,
};
use std::fmt;
use std::sync::Arc;

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
    /// what has no derivative: comparisons, logic, rounding, `%`, `atan2`, `hypot`; or is
    /// of lists.
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

    /// The same function where the parameter in `place` is now the square root of
    /// what the text means by its name: `sqrt(mu)` becomes `kappa`, any other `mu`
    /// becomes `kappa^2`.
    ///
    /// With this `kappa` may also be negative, the other solution of
    /// `kappa^2 = mu`. The root of a product or quotient that has `mu` once, as a factor above,
    /// is one of roots, so that `sqrt(2*mu)` becomes `sqrt(2) kappa`; `mu^0.5` is `sqrt(mu)`, and
    /// `mu^1.5` becomes `kappa^3`. Any other root of `mu`, such as that of `mu + mu`, stays one
    /// of `kappa^2`, without derivatives where `kappa` is 0.
    pub fn with_square(mut self, place: usize) -> Self {
        let Some(variable) = self.places.iter().position(|p| *p == place) else {
            return self;
        };
        let root = Tree::Variable(variable);
        let square = Tree::of_two(Binary::Multiply, root.clone(), root.clone());
        self.tree = self.tree.replaced(&|node| {
            let power = match node {
                Tree::Unary(Unary::Sqrt, of) => of.half_power(variable, 0.5),
                Tree::Binary(Binary::Power, of, exponent) => exponent
                    .constant()
                    .and_then(|exponent| of.half_power(variable, exponent)),
                _ => None,
            };
            power.or_else(|| (*node == root).then(|| square.clone()))
        });
        self
    }

    /// The same function at a shifted parameter: in place of `x`, the parameter in
    /// `place`, stands `x + a d(x)` with `a` the parameter in place `by` and `d` the
    /// `size` of the shift; not below `floor`, if there is one.
    ///
    /// After [`Self::with_square`], `x` is the square root.
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
        let x = Tree::Variable(variable);
        let size = Tree::Spline(Arc::clone(size), Box::new(x.clone()));
        let shift = Tree::of_two(Binary::Multiply, Tree::Variable(factor), size);
        let mut moved = Tree::of_two(Binary::Add, x.clone(), shift);
        if let Some(floor) = floor {
            moved = Tree::of_two(Binary::Max, moved, Tree::Number(floor));
        }
        self.tree = self
            .tree
            .replaced(&|node| (*node == x).then(|| moved.clone()));
        self
    }

    /// The text, as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The places of the parameters that the function uses, each once.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The parameter that the function is, if it is nothing else.
    pub fn parameter(&self) -> Option<usize> {
        match self.tree {
            Tree::Variable(variable) => self.places.get(variable).copied(),
            _ => None,
        }
    }

    /// Whether the function is a parameter times one of the others.
    pub fn has_factor(&self, place: usize) -> bool {
        let variable = self.places.iter().position(|p| *p == place);
        variable.is_some_and(|variable| self.tree.without_factor(variable).is_some())
    }

    /// Parameters along which the slope may jump at 0: those that an `abs`, a `min` or a
    /// `max` depends on alone. Kinks elsewhere are in no list.
    pub(crate) fn kinks(&self) -> impl Iterator<Item = usize> {
        let mut found = Vec::new();
        let zero = vec![0.0; self.places.len()];
        self.tree.add_kinks(&zero, &mut found);
        found.into_iter().map(|variable| self.places[variable])
    }

    /// The value at a point of all parameters. Not finite outside the function's
    /// domain: the square root or the logarithm of a negative number, a division by
    /// zero.
    pub fn value(&self, at: &[f64]) -> f64 {
        self.tree.value(&self.local(at))
    }

    /// Value, gradient and Hessian in the parameters of [`Self::places`].
    pub fn jet(&self, at: &[f64]) -> Jet {
        self.tree.jet(&self.local(at))
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

/// A node with all below it.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
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
enum Unfit {
    /// An operation without a derivative.
    Rough,
    /// An integer that would be rounded.
    Inexact,
    /// What is of lists.
    List,
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
            | Binary::Max => Ok(Self::of_two(operation, left, right)),
            _ => Err(Unfit::Rough),
        }
    }

    fn fold(_: Fold, _: Self) -> Result<Self, Unfit> {
        Err(Unfit::List)
    }

    fn index(_: Self, _: Self) -> Result<Self, Unfit> {
        Err(Unfit::List)
    }
}

impl Tree {
    /// The tree of an expression.
    fn of(expression: &Expression) -> Result<Self, ExpressionError> {
        let names = expression.variables();
        let variables: Vec<Self> = (0..names.len()).map(Self::Variable).collect();
        expression.evaluate(&variables).map_err(|fault| {
            let text = expression.text();
            let span = fault.as_ref().map(|fault| expression.word_of(fault));
            let span = span.unwrap_or(0..text.len());
            let why = match fault.map(|fault| fault.problem) {
                Some(Unfit::Inexact) => "as a floating-point number it would be rounded",
                Some(Unfit::List) => "a parameter is a number, and no list of them",
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

    fn of_two(operation: Binary, left: Self, right: Self) -> Self {
        Self::Binary(operation, Box::new(left), Box::new(right))
    }

    /// The tree with other nodes in place of some.
    fn replaced(self, by: &impl Fn(&Self) -> Option<Self>) -> Self {
        if let Some(other) = by(&self) {
            return other;
        }
        let inner = |of: Box<Self>| Box::new(of.replaced(by));
        match self {
            Self::Unary(function, of) => Self::Unary(function, inner(of)),
            Self::Binary(function, left, right) => {
                Self::Binary(function, inner(left), inner(right))
            }
            Self::Spline(spline, of) => Self::Spline(spline, inner(of)),
            Self::Number(_) | Self::Variable(_) => self,
        }
    }

    /// The tree to a power of n + 1/2 in the root of `variable`, if it has that once, as a factor
    /// of a product.
    fn half_power(&self, variable: usize, exponent: f64) -> Option<Self> {
        let doubled = 2.0 * exponent;
        if doubled % 2.0 == 0.0 || doubled.fract() != 0.0 {
            return None;
        }
        let rest = self.without_factor(variable)?;
        let root = match (Self::Variable(variable), doubled == 1.0) {
            (root, true) => root,
            (root, false) => Self::of_two(Binary::Power, root, Self::Number(doubled)),
        };
        let rest = match rest {
            Self::Number(rest) => Self::Number(rest.powf(exponent)),
            rest if exponent == 0.5 => Self::Unary(Unary::Sqrt, Box::new(rest)),
            rest => Self::of_two(Binary::Power, rest, Self::Number(exponent)),
        };
        Some(match rest == Self::Number(1.0) {
            true => root,
            false => Self::of_two(Binary::Multiply, rest, root),
        })
    }

    /// What is left of a product, or of a quotient's upper side, without the factor `variable`,
    /// if it has that once.
    fn without_factor(&self, variable: usize) -> Option<Self> {
        let has = |side: &Self| {
            let mut variables = Vec::new();
            side.add_variables(&mut variables);
            variables.contains(&variable)
        };
        let (function, left, right) = match self {
            Self::Variable(own) => return (*own == variable).then_some(Self::Number(1.0)),
            Self::Binary(function, left, right) => (*function, left, right),
            _ => return None,
        };
        let (left, right) = match (function, has(left), has(right)) {
            (Binary::Multiply | Binary::Divide, true, false) => {
                (left.without_factor(variable)?, (**right).clone())
            }
            (Binary::Multiply, false, true) => ((**left).clone(), right.without_factor(variable)?),
            _ => return None,
        };
        let both = left.constant().zip(right.constant());
        Some(match both {
            Some((left, right)) => Self::Number(binary(function, left, right)),
            None => Self::of_two(function, left, right),
        })
    }

    /// The value of a tree without variables.
    fn constant(&self) -> Option<f64> {
        let mut variables = Vec::new();
        self.add_variables(&mut variables);
        variables.is_empty().then(|| self.value(&[]))
    }

    /// Adds the variables that it has.
    fn add_variables(&self, to: &mut Vec<usize>) {
        match self {
            Self::Number(_) => {}
            Self::Variable(variable) => to.push(*variable),
            Self::Unary(_, of) | Self::Spline(_, of) => of.add_variables(to),
            Self::Binary(_, left, right) => {
                left.add_variables(to);
                right.add_variables(to);
            }
        }
    }

    /// Adds the variables along which its slope may jump at `zero`.
    fn add_kinks(&self, zero: &[f64], to: &mut Vec<usize>) {
        let is_kink = match self {
            Self::Unary(Unary::Abs, of) => of.value(zero) == 0.0,
            Self::Binary(Binary::Min | Binary::Max, left, right) => {
                left.value(zero) == right.value(zero)
            }
            _ => false,
        };
        if is_kink {
            let mut variables = Vec::new();
            self.add_variables(&mut variables);
            variables.dedup();
            if let [variable] = variables[..] {
                to.push(variable);
            }
        }
        match self {
            Self::Number(_) | Self::Variable(_) => {}
            Self::Unary(_, of) | Self::Spline(_, of) => of.add_kinks(zero, to),
            Self::Binary(_, left, right) => {
                left.add_kinks(zero, to);
                right.add_kinks(zero, to);
            }
        }
    }

    /// The value for the variables `at`.
    fn value(&self, at: &[f64]) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Variable(variable) => at[*variable],
            Self::Unary(function, of) => unary(*function, of.value(at))[0],
            Self::Binary(function, left, right) => {
                binary(*function, left.value(at), right.value(at))
            }
            Self::Spline(spline, of) => spline.jet(of.value(at))[0],
        }
    }

    /// Value, gradient and Hessian in the variables `at`.
    fn jet(&self, at: &[f64]) -> Jet {
        let n = at.len();
        match self {
            Self::Number(value) => Jet::constant(*value, n, 2),
            Self::Variable(variable) => {
                let mut jet = Jet::constant(at[*variable], n, 2);
                jet.gradient[*variable] = 1.0;
                jet
            }
            Self::Unary(function, of) => {
                let of = of.jet(at);
                if *function == Unary::Abs && of.value == 0.0 {
                    let other = of.clone().chain([-of.value, -1.0, 0.0]);
                    return combined(Binary::Max, of, other);
                }
                let outer = unary(*function, of.value);
                // a zero of fourth order, whose root has a curvature that two orders do not tell
                let mut derivatives = of.gradient.iter().chain(&of.hessian);
                let is_flat =
                    *function == Unary::Sqrt && of.value == 0.0 && derivatives.all(|x| *x == 0.0);
                let mut root = of.chain(outer);
                if is_flat {
                    let mut variables = Vec::new();
                    self.add_variables(&mut variables);
                    for variable in variables {
                        root.hessian[variable * (n + 1)] = f64::NAN;
                    }
                }
                root
            }
            Self::Binary(function, left, right) => combined(*function, left.jet(at), right.jet(at)),
            Self::Spline(spline, of) => {
                let of = of.jet(at);
                let outer = spline.jet(of.value);
                of.chain(outer)
            }
        }
    }
}

/// A function with its first and second derivative.
fn unary(function: Unary, x: f64) -> [f64; 3] {
    use std::f64::consts::{LN_2, LN_10};
    let log = |base: f64| [x.ln() / base, 1.0 / (x * base), -1.0 / (x * x * base)];
    match function {
        Unary::Negative => [-x, -1.0, 0.0],
        Unary::Log => log(1.0),
        Unary::Log10 => log(LN_10),
        Unary::Log2 => log(LN_2),
        Unary::Exp => [x.exp(); 3],
        Unary::Sqrt => {
            let root = x.sqrt();
            [root, 0.5 / root, -0.25 / (root * x)]
        }
        Unary::Abs => [x.abs(), x.signum(), 0.0],
        Unary::Sin => [x.sin(), x.cos(), -x.sin()],
        Unary::Cos => [x.cos(), -x.sin(), -x.cos()],
        Unary::Tan => {
            let (tan, slope) = (x.tan(), 1.0 + x.tan() * x.tan());
            [tan, slope, 2.0 * tan * slope]
        }
        Unary::Asin | Unary::Acos => {
            let rest = 1.0 - x * x;
            let slope = 1.0 / rest.sqrt();
            let curvature = x * slope / rest;
            match function {
                Unary::Asin => [x.asin(), slope, curvature],
                _ => [x.acos(), -slope, -curvature],
            }
        }
        Unary::Atan => {
            let slope = 1.0 / (1.0 + x * x);
            [x.atan(), slope, -2.0 * x * slope * slope]
        }
        Unary::Sinh => [x.sinh(), x.cosh(), x.sinh()],
        Unary::Cosh => [x.cosh(), x.sinh(), x.cosh()],
        Unary::Tanh => {
            let tanh = x.tanh();
            let slope = 1.0 - tanh * tanh;
            [tanh, slope, -2.0 * tanh * slope]
        }
        Unary::Asinh => {
            let slope = 1.0 / (1.0 + x * x).sqrt();
            [x.asinh(), slope, -x * slope * slope * slope]
        }
        // Not in a tree: see `Value for Tree`.
        Unary::Not | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign => [f64::NAN; 3],
    }
}

/// A function of two arguments.
fn binary(function: Binary, a: f64, b: f64) -> f64 {
    match function {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        Binary::Min if a <= b => a,
        Binary::Max if a >= b => a,
        Binary::Min | Binary::Max => b,
        // Not in a tree: see `Value for Tree`.
        _ => f64::NAN,
    }
}

/// A function of two arguments with its derivatives.
fn combined(function: Binary, mut a: Jet, b: Jet) -> Jet {
    match function {
        Binary::Add | Binary::Subtract => {
            a.add_scaled(if function == Binary::Add { 1.0 } else { -1.0 }, &b);
            a
        }
        Binary::Multiply => a.times(&b),
        Binary::Divide => {
            let inverse = power(b.value, -1.0);
            a.times(&b.chain(inverse))
        }
        Binary::Power => raised(a, &b),
        Binary::Min | Binary::Max if a.value == b.value => {
            let is_min = function == Binary::Min;
            let slopes = a.gradient.iter_mut().zip(&b.gradient);
            slopes.for_each(|(a, b)| *a = if is_min { a.min(*b) } else { a.max(*b) });
            a
        }
        Binary::Min if a.value <= b.value => a,
        Binary::Max if a.value >= b.value => a,
        Binary::Min | Binary::Max => b,
        // Not in a tree: see `Value for Tree`.
        _ => Jet::constant(f64::NAN, a.gradient.len(), 2),
    }
}

/// A function to the power of another.
fn raised(base: Jet, exponent: &Jet) -> Jet {
    let is_constant = |jet: &Jet| jet.gradient.iter().chain(&jet.hessian).all(|x| *x == 0.0);
    if is_constant(exponent) {
        let outer = power(base.value, exponent.value);
        return base.chain(outer);
    }
    let log = unary(Unary::Log, base.value);
    let log_of_power = base.chain(log).times(exponent);
    let exp = unary(Unary::Exp, log_of_power.value);
    log_of_power.chain(exp)
}

/// `x^n` with its derivatives in `x`.
fn power(x: f64, n: f64) -> [f64; 3] {
    let term = |factor: f64, n: f64| {
        if factor == 0.0 {
            0.0
        } else {
            factor * x.powf(n)
        }
    };
    [x.powf(n), term(n, n - 1.0), term(n * (n - 1.0), n - 2.0)]
}

#[cfg(test)]
mod tests;
