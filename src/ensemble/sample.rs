//! The two samples that an ensemble learns to tell apart.

use sideband_models::{Compute, Table};

/// Rows of one class: weights and event keys, in the order of the table.
#[derive(Clone, Debug, Default)]
pub struct ClassRows {
    /// Event weights.
    pub weights: Vec<f64>,
    /// 64-bit event keys.
    pub keys: Vec<u64>,
}

impl ClassRows {
    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Source and target events of the training region: standardised features
/// `[N, D]`, the source's rows first.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    features: Vec<f32>,
    columns: usize,
    /// Source, target.
    classes: [ClassRows; 2],
}

impl TrainingSample {
    /// A sample of two classes.
    ///
    /// # Panics
    /// If the matrix does not have one row an event.
    #[must_use]
    pub fn new(features: Vec<f32>, columns: usize, source: ClassRows, target: ClassRows) -> Self {
        assert_eq!(
            features.len(),
            columns * (source.len() + target.len()),
            "one row of features an event"
        );
        Self {
            features,
            columns,
            classes: [source, target],
        }
    }

    /// Source and target.
    #[must_use]
    pub fn classes(&self) -> &[ClassRows; 2] {
        &self.classes
    }

    /// First row of a class in the table (0 source, 1 target).
    #[must_use]
    pub fn first_row(&self, class: usize) -> usize {
        if class == 0 { 0 } else { self.classes[0].len() }
    }

    /// Standardised features `[N, D]`.
    #[must_use]
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Number of features, `D`.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Copies the features to a device.
    #[must_use]
    pub fn upload(&self, compute: &Compute) -> Table {
        Table::new(compute, self.features.clone(), self.columns)
    }
}
