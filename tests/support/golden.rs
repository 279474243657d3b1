//! Reference numbers of other programs, in `tests/data/golden`.

use serde::Deserialize;

/// `gp_hist_*.json`: a Gaussian process of a histogram with a hole, by scikit-learn 1.9.
#[derive(Deserialize)]
pub struct Golden {
    pub edges: Vec<f64>,
    pub counts: Vec<Vec<f64>>,
    pub blind: Vec<Vec<u8>>,
    pub mean: f64,
    pub deviation: f64,
    pub c1_l20: Marginal,
    pub fitted: Optimum,
    pub posterior_mean: Vec<f64>,
    pub posterior_std: Vec<f64>,
    pub hole_sum: f64,
    pub hole_error: f64,
}

/// At amplitude 1 and length scales 20.
#[derive(Deserialize)]
pub struct Marginal {
    pub log_marginal: f64,
    pub gradient: Vec<f64>,
}

#[derive(Deserialize)]
pub struct Optimum {
    pub amplitude: f64,
    pub length_scales: Vec<f64>,
    pub log_marginal: f64,
    pub gradient: Vec<f64>,
}

impl Golden {
    pub fn of_histogram(name: &str) -> Self {
        let text = super::document(&format!("tests/data/golden/gp_hist_{name}.json"));
        serde_json::from_str(&text).unwrap()
    }
}
