//! The events that an ensemble learns from: two samples to tell apart, or one
//! whose density is learned.

use sideband_networks::{Compute, Table};
use std::sync::Arc;

/// Inputs of events as they were read, `[N, D]`. Ensembles that train on the
/// same files share one matrix, each with the rows and weights of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    features: Vec<f32>,
    columns: usize,
}

impl Inputs {
    /// A row-major matrix with `columns` features.
    pub fn new(features: Vec<f32>, columns: usize) -> Self {
        Self { features, columns }
    }

    /// Appends a row; its number.
    pub fn push(&mut self, row: &[f32]) -> usize {
        self.features.extend_from_slice(row);
        self.len() - 1
    }

    /// Number of rows, `N`.
    pub fn len(&self) -> usize {
        self.features.len() / self.columns.max(1)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Number of features, `D`.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row, `[D]`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.features[row * self.columns..(row + 1) * self.columns]
    }

    /// All rows.
    pub fn as_slice(&self) -> &[f32] {
        &self.features
    }

    /// Copies the matrix to a device.
    pub fn upload(&self, compute: &Compute) -> Table {
        Table::new(compute, self.features.clone(), self.columns)
    }
}

/// The events of one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassRows {
    /// Their rows in the matrix of inputs.
    pub rows: Vec<u32>,
    /// Event weights.
    pub weights: Vec<f64>,
    /// 64-bit event keys.
    pub keys: Vec<u64>,
}

impl ClassRows {
    /// Events that lie one after the other in the matrix, from row `first`.
    pub fn consecutive(first: usize, weights: Vec<f64>, keys: Vec<u64>) -> Self {
        Self {
            rows: (first as u32..).take(keys.len()).collect(),
            weights,
            keys,
        }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Row, weight and key of each event.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64, u64)> {
        let numbers = self.weights.iter().zip(&self.keys);
        let rows = self.rows.iter().zip(numbers);
        rows.map(|(row, (weight, key))| (*row, *weight, *key))
    }
}

/// Events of the training region.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    inputs: Arc<Inputs>,
    /// Source and target, or the target alone.
    classes: Vec<ClassRows>,
}

impl TrainingSample {
    /// Source and target, or the target alone, with rows in `inputs`.
    ///
    /// # Panics
    /// If a row is not in them.
    pub fn of(inputs: Arc<Inputs>, classes: Vec<ClassRows>) -> Self {
        let rows = inputs.len();
        let inside = |class: &ClassRows| class.rows.iter().all(|row| (*row as usize) < rows);
        assert!(classes.iter().all(inside), "rows of the matrix");
        Self { inputs, classes }
    }

    /// Source and target, or the target alone.
    pub fn classes(&self) -> &[ClassRows] {
        &self.classes
    }

    /// The classes with the names of their roles.
    pub fn named_classes(&self) -> impl Iterator<Item = (&'static str, &ClassRows)> {
        let names: &[&'static str] = match self.classes.len() {
            1 => &["target"],
            _ => &["source", "target"],
        };
        names.iter().copied().zip(&self.classes)
    }

    /// The matrix that the rows are of.
    pub fn inputs(&self) -> &Arc<Inputs> {
        &self.inputs
    }

    /// Number of events of both classes.
    pub fn len(&self) -> usize {
        self.classes.iter().map(ClassRows::len).sum()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
