//! Higgs candidates of the four-jet analysis, from the jets of one event. Momenta and masses
//! in GeV, angles in radians, natural logarithms, all in `f64`.

use std::f64::consts::{PI, TAU};
use std::ops::Add;

/// A jet: pT above 0, mass not below, all numbers finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Jet {
    pub(super) pt: f64,
    pub(super) eta: f64,
    pub(super) phi: f64,
    pub(super) mass: f64,
    pub(super) is_tagged: bool,
}

impl Jet {
    /// Whether its numbers are those of a jet.
    pub(super) fn is_physical(&self) -> bool {
        let numbers = [self.pt, self.eta, self.phi, self.mass];
        numbers.iter().all(|x| x.is_finite()) && self.pt > 0.0 && self.mass >= 0.0
    }
}

/// Energy and momentum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FourVector {
    x: f64,
    y: f64,
    z: f64,
    e: f64,
}

impl FourVector {
    pub(super) fn of(jet: &Jet) -> Self {
        let (sin, cos) = jet.phi.sin_cos();
        let [x, y, z] = [cos, sin, jet.eta.sinh()].map(|part| jet.pt * part);
        let e = (x * x + y * y + z * z + jet.mass * jet.mass).sqrt();
        Self { x, y, z, e }
    }

    fn pt(&self) -> f64 {
        self.x.hypot(self.y)
    }

    fn eta(&self) -> f64 {
        (self.z / self.pt().max(1e-6)).asinh()
    }

    fn phi(&self) -> f64 {
        self.y.atan2(self.x)
    }

    /// 0 where rounding makes its square negative.
    fn mass(&self) -> f64 {
        let square = self.e * self.e - self.x * self.x - self.y * self.y - self.z * self.z;
        if square < 0.0 { 0.0 } else { square.sqrt() }
    }
}

impl Add for FourVector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            x: self.x + other.x,
            y: self.y + other.y,
            z: self.z + other.z,
            e: self.e + other.e,
        }
    }
}

/// Size of a difference of azimuths, at most pi.
fn dphi(a: f64, b: f64) -> f64 {
    ((a - b + PI).rem_euclid(TAU) - PI).abs()
}

fn dr(a: &Jet, b: &Jet) -> f64 {
    (a.eta - b.eta).hypot(dphi(a.phi, b.phi))
}

/// The place of the smallest, the first of equal ones.
fn smallest(values: &[f64]) -> usize {
    let places = 0..values.len();
    places.fold(0, |best, k| if values[k] < values[best] { k } else { best })
}

/// Puts jets in the order of falling pT; equal ones stay in theirs.
pub(super) fn sort(jets: &mut [Jet]) {
    jets.sort_by(|a, b| b.pt.total_cmp(&a.pt));
}

/// Places of the candidates' jets among jets of falling pT, in their order: the leading tagged
/// ones, and where these are fewer than four the leading ones of the others. None if there
/// are no four jets.
pub(super) fn chosen(jets: &[Jet]) -> Option<[usize; 4]> {
    let of = |is_tagged| {
        let jets = jets.iter().enumerate();
        jets.filter_map(move |(place, jet)| (jet.is_tagged == is_tagged).then_some(place))
    };
    let mut first = of(true).chain(of(false));
    let mut four = [0; 4];
    for place in &mut four {
        *place = first.next()?;
    }
    four.sort_unstable();
    Some(four)
}

/// What [`Pair::values`] has, in its order.
pub(super) const PAIR: [&str; 20] = [
    "log_pt2",
    "log_pt4",
    "log_dr1",
    "log_dr2",
    "avg_abs_eta",
    "log_pt_hh",
    "dr_hh",
    "dphi_h1",
    "dphi_h2",
    "m_h1",
    "m_h2",
    "m_hh",
    "pt_h1",
    "pt_h2",
    "eta_h1",
    "eta_h2",
    "phi_h1",
    "phi_h2",
    "deta_hh",
    "dphi_hh",
];

/// Four jets of falling pT as two Higgs candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    four: [Jet; 4],
    /// Places of each candidate's jets among the four; the first candidate is the one
    /// with the larger scalar sum of pT.
    candidates: [[usize; 2]; 2],
}

impl Pair {
    /// Of the three pairings the one whose pair of higher pT has the smallest dR, the first of
    /// equal ones: 01 23, 02 13, 03 12. Of two pairs of equal pT the first is the
    /// higher; so is the first candidate where the scalar sums are equal.
    pub(super) fn min_dr(four: [Jet; 4]) -> Self {
        const PAIRINGS: [[[usize; 2]; 2]; 3] =
            [[[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]]];
        let vectors = four.map(|jet| FourVector::of(&jet));
        let of_higher = PAIRINGS.map(|pairs| {
            let [a, b] = pairs.map(|[i, j]| (vectors[i] + vectors[j]).pt());
            let [i, j] = pairs[usize::from(a < b)];
            dr(&four[i], &four[j])
        });
        let [a, b] = PAIRINGS[smallest(&of_higher)];
        let scalar = |[i, j]: [usize; 2]| four[i].pt + four[j].pt;
        let candidates = if scalar(b) > scalar(a) {
            [b, a]
        } else {
            [a, b]
        };
        Self { four, candidates }
    }

    /// Of the closest two of the four jets, the first of equal ones, and of the other two.
    fn closest(&self) -> [f64; 2] {
        const PAIRS: [[usize; 2]; 6] = [[0, 1], [2, 3], [0, 2], [1, 3], [0, 3], [1, 2]];
        let all = PAIRS.map(|[i, j]| dr(&self.four[i], &self.four[j]));
        let first = smallest(&all);
        [all[first], all[first ^ 1]]
    }

    pub(super) fn values(&self) -> [f64; PAIR.len()] {
        let four = &self.four;
        let [h1, h2] = self.candidates.map(|[i, j]| {
            let sum = FourVector::of(&four[i]) + FourVector::of(&four[j]);
            (sum, dphi(four[i].phi, four[j].phi))
        });
        let ((h1, dphi_h1), (h2, dphi_h2)) = (h1, h2);
        let hh = h1 + h2;
        let [closest, other] = self.closest();
        let abs_eta: f64 = four.iter().map(|jet| jet.eta.abs()).sum();
        let (deta_hh, dphi_hh) = ((h1.eta() - h2.eta()).abs(), dphi(h1.phi(), h2.phi()));
        [
            four[1].pt.ln(),
            four[3].pt.ln(),
            closest.ln(),
            other.ln(),
            abs_eta / 4.0,
            hh.pt().max(1e-2).ln(),
            deta_hh.hypot(dphi_hh),
            dphi_h1,
            dphi_h2,
            h1.mass(),
            h2.mass(),
            hh.mass(),
            h1.pt(),
            h2.pt(),
            h1.eta(),
            h2.eta(),
            h1.phi(),
            h2.phi(),
            deta_hh,
            dphi_hh,
        ]
    }
}

/// Distance from a top decay, the smallest over W of any two of the jets and top of W and
/// another one of the four at `chosen`: sqrt(((m_W - 80.4) / (0.1 m_W))^2 + ((m_t - 172.5) /
/// (0.1 m_t))^2).
pub(super) fn x_wt(jets: &[FourVector], chosen: &[usize; 4]) -> f64 {
    let square = |mass: f64, nominal: f64| {
        let mass = mass.max(1e-3);
        ((mass - nominal) / (0.1 * mass)).powi(2)
    };
    let mut least = f64::INFINITY;
    for (i, first) in jets.iter().enumerate() {
        for (j, second) in jets.iter().enumerate().skip(i + 1) {
            let w = *first + *second;
            let of_w = square(w.mass(), 80.4);
            if of_w >= least {
                continue;
            }
            for &k in chosen.iter().filter(|&&k| k != i && k != j) {
                least = least.min(of_w + square((w + jets[k]).mass(), 172.5));
            }
        }
    }
    least.sqrt()
}

/// 1 if the leading of jets of falling pT has more than 170 GeV and the third more than
/// 70 GeV, else 0: a stand-in for a class of triggers.
pub(super) fn trig_bucket(jets: &[Jet]) -> f64 {
    let is_above = |place: usize, pt: f64| jets.get(place).is_some_and(|jet| jet.pt > pt);
    f64::from(u8::from(is_above(0, 170.0) && is_above(2, 70.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jet(pt: f64, eta: f64, phi: f64, is_tagged: bool) -> Jet {
        let mass = 0.1 * pt;
        Jet {
            pt,
            eta,
            phi,
            mass,
            is_tagged,
        }
    }

    fn value(pair: &Pair, name: &str) -> f64 {
        let place = PAIR.iter().position(|known| *known == name);
        pair.values()[place.unwrap_or(usize::MAX)]
    }

    #[test]
    fn tagged_jets_come_first_and_the_leading_others_fill_up() {
        let jets = |tags: &[bool]| -> Vec<Jet> {
            let tags = tags.iter().enumerate();
            tags.map(|(k, &tag)| jet(200.0 - k as f64, 0.0, 0.0, tag))
                .collect()
        };
        let (t, f) = (true, false);
        assert_eq!(chosen(&jets(&[f, t, t, f, t, t, t])), Some([1, 2, 4, 5]));
        assert_eq!(chosen(&jets(&[f, f, t, f, t])), Some([0, 1, 2, 4]));
        assert_eq!(chosen(&jets(&[f, f, f, f, f])), Some([0, 1, 2, 3]));
        assert_eq!(chosen(&jets(&[t, t, t])), None);
    }

    #[test]
    fn equal_momenta_stay_in_their_order() {
        let mut jets = [
            jet(50.0, 0.0, 0.0, false),
            jet(60.0, 1.0, 0.0, false),
            jet(50.0, 2.0, 0.0, false),
            jet(60.0, 3.0, 0.0, false),
        ];
        sort(&mut jets);
        assert_eq!(jets.map(|jet| jet.eta), [1.0, 3.0, 0.0, 2.0]);
    }

    /// Two pairs of jets back to back: 0 with 3 and 1 with 2 at dR 0.6.
    #[test]
    fn the_pair_of_higher_momentum_decides() {
        let four = [
            jet(200.0, 0.3, 0.0, true),
            jet(150.0, 0.3, PI - 0.1, true),
            jet(100.0, -0.3, PI - 0.1, true),
            jet(60.0, -0.3, 0.0, true),
        ];
        let pair = Pair::min_dr(four);
        assert_eq!(pair.candidates, [[0, 3], [1, 2]]);
        for (name, expected) in [
            ("log_pt2", 150_f64.ln()),
            ("log_pt4", 60_f64.ln()),
            ("log_dr1", 0.6_f64.ln()),
            ("log_dr2", 0.6_f64.ln()),
            ("avg_abs_eta", 0.3),
            ("dphi_h1", 0.0),
            ("dphi_hh", PI - 0.1),
            ("pt_h1", 260.0),
            ("pt_h2", 250.0),
        ] {
            let found = value(&pair, name);
            assert!((found - expected).abs() < 1e-12, "{name}: {found}");
        }
        // the mass of two jets, from their momenta: m1^2 + m2^2 + 2 (E1 E2 - p1 p2)
        let energies = [four[0], four[3]].map(|j| (j.pt * j.eta.cosh()).hypot(j.mass));
        let product = 200.0 * 60.0 * (1.0 + 0.3_f64.sinh() * (-0.3_f64).sinh());
        let square = 20_f64.powi(2) + 6_f64.powi(2) + 2.0 * (energies[0] * energies[1] - product);
        assert!((value(&pair, "m_h1") - square.sqrt()).abs() < 1e-9);
    }

    /// A square of equal jets: all pairings and candidates are equal but for rounding.
    #[test]
    fn of_equal_pairings_and_candidates_the_first_is_taken() {
        let at = |eta, phi| jet(100.0, eta, phi, true);
        let square = [at(0.5, 0.5), at(0.5, -0.5), at(-0.5, 0.5), at(-0.5, -0.5)];
        let pair = Pair::min_dr(square);
        // dR is 1 along the sides of 01 23 and 02 13
        assert_eq!(pair.candidates, [[0, 1], [2, 3]]);
        assert_eq!(value(&pair, "log_dr1"), 0.0);
        let together = Pair::min_dr([at(0.0, 0.0); 4]);
        assert_eq!(together.candidates, [[0, 1], [2, 3]]);
        assert_eq!(value(&together, "log_dr1"), f64::NEG_INFINITY);
    }

    #[test]
    fn a_top_is_near_zero_and_another_jet_than_its_w() {
        // a W at rest of two massless jets, and a jet that makes a top of it
        let m_w = 80.4;
        let plain = |pt, phi| Jet {
            pt,
            phi,
            ..Jet::default()
        };
        // (172.5^2 - 80.4^2) = 2 m_W E
        let e = (172.5_f64.powi(2) - m_w * m_w) / (2.0 * m_w);
        let far = |eta| Jet {
            eta,
            ..plain(1000.0, 0.0)
        };
        let half = [0.0, PI].map(|phi| plain(m_w / 2.0, phi));
        let jets = [far(8.0), plain(e, 0.5), half[0], half[1]];
        let vectors = jets.map(|jet| FourVector::of(&jet));
        assert!(x_wt(&vectors, &[0, 1, 2, 3]) < 1e-6);
        // the b jet of the top must be one of the candidates'
        let mut more = vectors.to_vec();
        more.push(FourVector::of(&far(-8.0)));
        assert!(x_wt(&more, &[0, 1, 2, 3]) < 1e-6);
        assert!(x_wt(&more, &[0, 2, 3, 4]) > 1.0);
    }

    #[test]
    fn angles_are_those_of_the_short_way() {
        for (a, b, expected) in [
            (3.0, -3.0, TAU - 6.0),
            (-3.0, 3.0, TAU - 6.0),
            (0.0, 1.0, 1.0),
            (0.0, PI, PI),
        ] {
            assert!((dphi(a, b) - expected).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_jet_is_seen() {
        let good = jet(50.0, 1.0, 1.0, true);
        assert!(good.is_physical());
        assert!(Jet { mass: 0.0, ..good }.is_physical());
        for bad in [
            Jet { pt: 0.0, ..good },
            Jet { pt: -1.0, ..good },
            Jet { mass: -0.1, ..good },
            Jet {
                eta: f64::NAN,
                ..good
            },
            Jet {
                phi: f64::INFINITY,
                ..good
            },
        ] {
            assert!(!bad.is_physical(), "{bad:?}");
        }
    }

    #[test]
    fn the_trigger_looks_at_the_first_and_third_jet() {
        let jets = |pts: &[f64]| -> Vec<Jet> {
            let jets = pts.iter().map(|&pt| jet(pt, 0.0, 0.0, false));
            jets.collect()
        };
        for (pts, expected) in [
            (&[171.0, 90.0, 71.0][..], 1.0),
            (&[170.0, 90.0, 71.0], 0.0),
            (&[171.0, 90.0, 70.0], 0.0),
            (&[171.0, 90.0], 0.0),
            (&[], 0.0),
        ] {
            assert_eq!(trig_bucket(&jets(pts)), expected, "{pts:?}");
        }
    }
}
