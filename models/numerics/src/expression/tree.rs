//! A parsed expression: a tree in the order in which it is computed, every operand
//! before its operator. It is evaluated over any kind of value.

use std::ops::Range;

use super::number::Number;
use super::operators::{Binary, Unary};

/// A kind of value that expressions can be computed with.
pub trait Value: Clone {
    /// Why an operation cannot be done.
    type Problem;

    /// A number of the text.
    fn number(number: Number) -> Result<Self, Self::Problem>;

    /// An operation on one value.
    fn unary(operation: Unary, of: Self) -> Result<Self, Self::Problem>;

    /// An operation on two values.
    fn binary(operation: Binary, left: Self, right: Self) -> Result<Self, Self::Problem>;
}

/// What is done in a node of the tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Number(Number),
    /// By number, in the order of first appearance.
    Variable(usize),
    Unary(Unary),
    Binary(Binary),
}

/// A node and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) node: Node,
    /// Place of the first step of the part of the tree below.
    pub(super) first: usize,
    /// The operator, function or value in the text.
    pub(super) word: Range<usize>,
    /// All that is computed here, in the text.
    pub(super) span: Range<usize>,
}

/// Steps of a whole expression; the last one is its value. The grammar puts the
/// operands of every operator before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    pub(super) steps: Vec<Step>,
}

/// An operation that cannot be done, at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault<P> {
    pub(super) step: usize,
    /// Why.
    pub problem: P,
}

impl Tree {
    /// Adds a value of the text.
    pub(super) fn leaf(&mut self, node: Node, word: Range<usize>) {
        self.steps.push(Step {
            node,
            first: self.steps.len(),
            span: word.clone(),
            word,
        });
    }

    /// Adds an operation on what was added last; `span` is all of its text.
    pub(super) fn unary(&mut self, unary: Unary, word: Range<usize>, span: Range<usize>) {
        let below = self.steps.last().map_or(0, |step| step.first);
        self.steps.push(Step {
            node: Node::Unary(unary),
            first: below,
            word,
            span,
        });
    }

    /// Adds an operation on the two values added last, the first of which ended with
    /// step `left`.
    pub(super) fn binary(
        &mut self,
        binary: Binary,
        left: usize,
        word: Range<usize>,
        span: Range<usize>,
    ) {
        self.steps.push(Step {
            node: Node::Binary(binary),
            first: self.steps[left].first,
            word,
            span,
        });
    }

    /// The place of the step that was added last.
    pub(super) fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The value for `variables`, of which there are enough.
    pub(super) fn evaluate<V: Value>(&self, variables: &[V]) -> Result<V, Fault<V::Problem>> {
        const COMPLETE: &str = "the grammar puts operands before their operator";
        let mut values: Vec<V> = Vec::with_capacity(8);
        for (place, step) in self.steps.iter().enumerate() {
            let value = match step.node {
                Node::Number(number) => V::number(number),
                Node::Variable(variable) => Ok(variables[variable].clone()),
                Node::Unary(operation) => V::unary(operation, values.pop().expect(COMPLETE)),
                Node::Binary(operation) => {
                    let right = values.pop().expect(COMPLETE);
                    V::binary(operation, values.pop().expect(COMPLETE), right)
                }
            };
            let fault = |problem| Fault {
                step: place,
                problem,
            };
            values.push(value.map_err(fault)?);
        }
        Ok(values.pop().expect(COMPLETE))
    }

    /// The steps that make the operands of a step, the last of each.
    pub(super) fn operands(&self, step: usize) -> [usize; 2] {
        match self.steps[step].node {
            Node::Binary(_) => [self.steps[step - 1].first - 1, step - 1],
            Node::Unary(_) => [step - 1; 2],
            Node::Number(_) | Node::Variable(_) => [step; 2],
        }
    }

    /// The variables below a step, each once.
    pub(super) fn variables_of(&self, step: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for below in &self.steps[self.steps[step].first..=step] {
            if let Node::Variable(variable) = below.node
                && !found.contains(&variable)
            {
                found.push(variable);
            }
        }
        found
    }
}
