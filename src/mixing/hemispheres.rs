//! An event cut in two across its transverse thrust axis.

use crate::events::ListedJet;
use std::f64::consts::{PI, TAU};

/// Sums of momenta that differ by less than this share are equal.
const EQUAL: f64 = 1e-12;

/// The transverse thrust axis of some jets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thrust {
    /// Sum of the jets' momenta along it, without signs.
    pub sum: f64,
    /// Unit vector, with x above 0, or y where x is 0.
    pub axis: [f64; 2],
}

impl Thrust {
    /// Of transverse momenta: the largest sum with a sign for each. Only signs that a line
    /// through the origin gives can be the largest, so the line is turned past one jet after the
    /// other. None without jets.
    pub(super) fn of(momenta: &[[f64; 2]]) -> Option<Self> {
        let direction = |[x, y]: &[f64; 2]| y.atan2(*x);
        let sign = |p: &[f64; 2]| {
            if direction(p).rem_euclid(TAU) < PI {
                1.0
            } else {
                -1.0
            }
        };
        let signs: Vec<f64> = momenta.iter().map(sign).collect();
        let mut order: Vec<usize> = (0..momenta.len()).collect();
        let along = |i: &usize| direction(&momenta[*i]).rem_euclid(PI);
        order.sort_by(|a, b| along(a).total_cmp(&along(b)));
        let mut total = sum(momenta, &signs);
        let mut best = Self::towards(total)?;
        for i in order {
            let turned = 2.0 * signs[i];
            total = [0, 1].map(|k| total[k] - turned * momenta[i][k]);
            let Some(next) = Self::towards(total) else {
                continue;
            };
            let gain = next.sum - best.sum;
            let is_equal = gain.abs() <= EQUAL * best.sum;
            if is_equal && next.angle() < best.angle() || !is_equal && gain > 0.0 {
                best = next;
            }
        }
        Some(best)
    }

    fn towards([x, y]: [f64; 2]) -> Option<Self> {
        let sum = x.hypot(y);
        let sign = if x < 0.0 || x == 0.0 && y < 0.0 {
            -1.0
        } else {
            1.0
        };
        let axis = [x, y].map(|part| sign * part / sum);
        (sum > 0.0).then_some(Self { sum, axis })
    }

    /// Of the axis.
    pub(super) fn angle(&self) -> f64 {
        self.axis[1].atan2(self.axis[0])
    }
}

fn sum(momenta: &[[f64; 2]], signs: &[f64]) -> [f64; 2] {
    let both = momenta.iter().zip(signs);
    both.fold([0.0; 2], |[a, b], ([x, y], s)| [a + s * x, b + s * y])
}

/// An angle above -pi and up to pi.
pub(super) fn wrapped(angle: f64) -> f64 {
    let wrapped = (angle + PI).rem_euclid(TAU) - PI;
    if wrapped <= -PI { PI } else { wrapped }
}

/// Half of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hemisphere {
    /// Its jets, in the event's order.
    pub jets: Vec<ListedJet>,
    /// Direction of the axis on its side.
    pub theta: f64,
    /// Selected jets, tagged ones among them, and others.
    pub counts: [usize; 3],
    /// Sum of longitudinal momenta.
    pub sum_pz: f64,
    /// Sums of transverse momenta along the axis and across, without signs.
    pub along: f64,
    pub across: f64,
    /// Mass of the sum.
    pub mass: f64,
}

impl Hemisphere {
    /// What neighbours are alike in.
    pub(super) fn features(&self, flip_z: bool) -> [f64; 4] {
        let pz = if flip_z {
            self.sum_pz.abs()
        } else {
            self.sum_pz
        };
        [pz, self.along, self.across, self.mass]
    }

    fn new(jets: Vec<ListedJet>, [nx, ny]: [f64; 2], theta: f64) -> Self {
        let mut half = Self {
            theta,
            ..Self::default()
        };
        let mut total = [0.0; 4];
        for jet in &jets {
            let momentum = [
                jet.pt * jet.phi.cos(),
                jet.pt * jet.phi.sin(),
                jet.pt * jet.eta.sinh(),
            ];
            let [x, y, z] = momentum;
            let energy = (x * x + y * y + z * z + jet.mass * jet.mass).sqrt();
            for (sum, part) in total.iter_mut().zip([x, y, z, energy]) {
                *sum += part;
            }
            half.along += (x * nx + y * ny).abs();
            half.across += (y * nx - x * ny).abs();
            half.counts[0] += usize::from(jet.is_selected);
            half.counts[1] += usize::from(jet.is_selected && jet.is_tagged);
            half.counts[2] += usize::from(!jet.is_selected);
        }
        let [x, y, z, e] = total;
        half.sum_pz = z;
        half.mass = (e * e - x * x - y * y - z * z).max(0.0).sqrt();
        half.jets = jets;
        half
    }
}

/// The halves of an event along the axis and against it. None without jets.
pub(super) fn halves(jets: &[ListedJet]) -> Option<[Hemisphere; 2]> {
    let momentum = |jet: &ListedJet| [jet.phi.cos(), jet.phi.sin()].map(|part| jet.pt * part);
    let momenta: Vec<[f64; 2]> = jets.iter().map(momentum).collect();
    let thrust = Thrust::of(&momenta)?;
    let [nx, ny] = thrust.axis;
    let is_plus = |[x, y]: &[f64; 2]| x * nx + y * ny > 0.0;
    let side = |plus: bool| {
        let all = jets.iter().zip(&momenta);
        let own = all.filter(|(_, momentum)| is_plus(momentum) == plus);
        let turn = if plus { 0.0 } else { PI };
        let own = own.map(|(jet, _)| *jet).collect();
        Hemisphere::new(own, thrust.axis, wrapped(thrust.angle() + turn))
    };
    Some([side(true), side(false)])
}

/// Tags the hardest of the selected jets that are not tagged until there are `tags`.
pub(super) fn pseudo_tag(jets: &mut [ListedJet], tags: usize) {
    let mut order: Vec<usize> = (0..jets.len()).collect();
    order.sort_by(|a, b| jets[*b].pt.total_cmp(&jets[*a].pt));
    let is_tagged = |jet: &&ListedJet| jet.is_selected && jet.is_tagged;
    let missing = tags.saturating_sub(jets.iter().filter(is_tagged).count());
    let free = |place: &usize| jets[*place].is_selected && !jets[*place].is_tagged;
    let chosen: Vec<usize> = order.into_iter().filter(free).take(missing).collect();
    chosen
        .into_iter()
        .for_each(|place| jets[place].is_tagged = true);
}

/// Jets of two halves in the places of those of an event, by falling pT; of equal ones those of
/// the first half come first. With `flip_z` a half is mirrored whose longitudinal momentum is
/// against that of the half that it replaces.
pub(super) fn replaced(
    event: &[Hemisphere; 2],
    by: [&Hemisphere; 2],
    flip_z: bool,
) -> Vec<ListedJet> {
    let mut jets = Vec::with_capacity(by[0].jets.len() + by[1].jets.len());
    for (old, new) in event.iter().zip(by) {
        let is_flipped = flip_z && new.sum_pz * old.sum_pz < 0.0;
        jets.extend(new.jets.iter().map(|jet| ListedJet {
            eta: if is_flipped { -jet.eta } else { jet.eta },
            phi: wrapped(old.theta + (jet.phi - new.theta)),
            ..*jet
        }));
    }
    jets.sort_by(|a, b| b.pt.total_cmp(&a.pt));
    jets
}
