//! Exact sampling of the interference model by accept and reject.
//!
//! The envelope is a mixture of the three normal densities: with `a |A_S|^2`,
//! `b |A_B|^2` and the interference times `c`, the inequality of arithmetic and
//! geometric mean gives
//! `2 |c| |A_S| |A_B| <= |c| (t |A_S|^2 + |A_B|^2 / t)` for every `t > 0`; at
//! `t = sqrt(a / b)` both lobes are enlarged alike. The tilt is bounded by
//! `1 + |tilt|`. About half of the proposals are accepted.

use super::gaussian::{Gaussian, Point};
use super::model::Composition;
use super::{Interference, Process, Side, Truth};
use crate::error::Result;
use rayon::prelude::*;
use sideband_likelihood::toys::poisson;
use sideband_numerics::random::{Key, Stream};
use std::ops::Range;

/// Fewer events than this are drawn by one thread.
const GRAIN: usize = 4096;

/// Words that branch a key: the number of events and the events themselves.
const NUMBER: u64 = 0;
const EVENTS: u64 = 1;

/// How many events to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A Poisson number of the expected events.
    Poisson,
    /// This number.
    Fixed(usize),
}

/// The mixture that is proposed from: three normal densities with weights.
struct Envelope<'a> {
    lobes: [(&'a Gaussian, f64); 3],
    total: f64,
    factor: f64,
}

impl<'a> Envelope<'a> {
    fn new(model: &'a Interference, composition: &Composition) -> Self {
        let Composition {
            signal: a,
            background: b,
            ..
        } = *composition;
        let config = model.config();
        let c = config.coherence * composition.interference.abs();
        let (with_signal, with_background) = match c > 0.0 {
            true => (c * (a / b).sqrt(), c * (b / a).sqrt()),
            false => (0.0, 0.0),
        };
        let lobes = [
            (&model.signal, (a + with_signal) * config.signal.events),
            (
                &model.background,
                (b + with_background) * config.background.events,
            ),
            (&model.incoherent, b * config.incoherent.events),
        ];
        Self {
            total: lobes.iter().map(|(_, weight)| weight).sum(),
            lobes,
            factor: 1.0 + composition.tilt.abs(),
        }
    }

    fn propose(&self, stream: &mut Stream) -> Point {
        let mut at = stream.uniform() * self.total;
        let mut chosen = self.lobes[0].0;
        for (gaussian, weight) in &self.lobes {
            if *weight > 0.0 {
                chosen = gaussian;
                if at < *weight {
                    break;
                }
                at -= weight;
            }
        }
        chosen.point(&normals(stream))
    }

    fn density(&self, x: &Point) -> f64 {
        let lobes = self.lobes.iter();
        let terms = lobes.map(|(gaussian, weight)| weight * gaussian.log_density(x).exp());
        self.factor * terms.sum::<f64>()
    }
}

fn normals(stream: &mut Stream) -> Point {
    let mut z = Point::default();
    for pair in z.chunks_exact_mut(2) {
        pair.copy_from_slice(&stream.normal_pair());
    }
    z
}

impl Interference {
    /// `n` events of a process: event `i` is a function of `(key, i)`, whatever `n`
    /// and the number of threads.
    #[must_use]
    pub fn sample(&self, process: Process, n: usize, key: Key) -> Vec<Point> {
        self.draw(&self.of_process(process, None), 0..n, key)
    }

    /// As [`sample`](Self::sample), from `p_j(x | shape = +-1)`.
    #[must_use]
    pub fn sample_varied(&self, process: Process, side: Side, n: usize, key: Key) -> Vec<Point> {
        self.draw(&self.of_process(process, Some(side)), 0..n, key)
    }

    /// A data set at a point of the parameters: a Poisson number of events unless
    /// it is fixed.
    ///
    /// # Errors
    /// Parameters outside their domain or at which the density is not known
    /// exactly, rates that turn the intensity negative.
    pub fn sample_at(&self, truth: &Truth, count: Count, key: Key) -> Result<Vec<Point>> {
        let composition = self.at(truth)?;
        let n = match count {
            Count::Fixed(n) => n,
            Count::Poisson => {
                let mut stream = key.with(NUMBER).stream();
                poisson(self.expected(truth)?, &mut stream) as usize
            }
        };
        Ok(self.draw(&composition, 0..n, key.with(EVENTS)))
    }

    /// Events `range` of a stream.
    pub(super) fn draw(
        &self,
        composition: &Composition,
        range: Range<usize>,
        key: Key,
    ) -> Vec<Point> {
        let envelope = Envelope::new(self, composition);
        let event = |i: usize| {
            let mut stream = key.with(i as u64).stream();
            loop {
                let x = envelope.propose(&mut stream);
                let accept = stream.uniform() * envelope.density(&x);
                if accept < self.of(composition, &x) {
                    return x;
                }
            }
        };
        range
            .into_par_iter()
            .with_min_len(GRAIN)
            .map(event)
            .collect()
    }
}
