//! Ticks: where they go, and what their numbers say.
//!
//! Steps are 1, 2 or 5 times a power of ten, as fine as labels that keep clear
//! of each other allow.

use super::axes::{Axis, Scale};
use super::text;

/// Numbers from 10 to this power on share a power of ten.
const LARGE_POWER: i32 = 5;
/// Numbers of 10 to this power and below share a power of ten.
const SMALL_POWER: i32 = -4;
/// Free space between two labels on a horizontal axis, in pixels.
const LABEL_GAP: f64 = 16.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    /// Its number, in label markup; minor ticks mostly have none.
    pub(super) label: Option<String>,
    pub(super) major: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub(super) ticks: Vec<Tick>,
    /// Power of ten that all labels have been divided by.
    pub(super) power: Option<i32>,
}

/// Which way labels stand beside each other, and how high they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Horizontal(f64),
    Vertical(f64),
}

impl Axis {
    /// Ticks such that labels of this size do not touch.
    pub(super) fn ticks(&self, direction: Direction) -> Ticks {
        match self.scale {
            Scale::Linear => self.linear_ticks(direction),
            Scale::Log => self.log_ticks(direction),
        }
    }

    fn linear_ticks(&self, direction: Direction) -> Ticks {
        let span = self.high - self.low;
        let magnitude = self.low.abs().max(self.high.abs()).log10().floor() as i32;
        let power = (magnitude >= LARGE_POWER || magnitude <= SMALL_POWER).then_some(magnitude);
        let finest = self.length()
            / match direction {
                Direction::Horizontal(size) => size * 2.0 + LABEL_GAP,
                Direction::Vertical(size) => size * 2.6,
            };
        let mut step = Step::at_least(span / finest.max(1.0));
        loop {
            let ticks = self.with_step(step, power);
            if fits(&ticks, direction) || step.size() > span {
                return ticks;
            }
            step = step.next();
        }
    }

    fn with_step(&self, step: Step, power: Option<i32>) -> Ticks {
        let minor = step.size() / f64::from(step.minors());
        let decimals = (power.unwrap_or(0) - step.decade).clamp(0, 15) as usize;
        let unit = 10f64.powi(power.unwrap_or(0));
        let slack = 1e-6;
        let first = (self.low / minor - slack).ceil();
        let count = ((self.high - self.low) / minor + 1.0).min(1000.0) as usize;
        let mut ticks = Vec::new();
        for index in 0..=count {
            let index = first + index as f64;
            let value = index * minor;
            if value > self.high + slack * minor {
                break;
            }
            let major = index.rem_euclid(f64::from(step.minors())) == 0.0;
            let label = major.then(|| fixed(value / unit, decimals));
            ticks.push(Tick {
                at: self.at_clamped(value),
                label,
                major,
            });
        }
        Ticks { ticks, power }
    }

    fn log_ticks(&self, direction: Direction) -> Ticks {
        let slack = 1e-9;
        let first = (self.low.log10() - slack).ceil() as i32;
        let last = (self.high.log10() + slack).floor() as i32;
        let spacing = self.length() / (self.high / self.low).log10();
        let needed = match direction {
            Direction::Horizontal(size) => size * 3.0,
            Direction::Vertical(size) => size * 1.9,
        };
        let stride = ((needed / spacing).ceil() as i32).max(1);
        let decades = ((last - first) / stride) + 1;
        if decades < 2 && stride == 1 {
            return self.short_log_ticks(direction);
        }
        let mut ticks = Vec::new();
        for decade in (first - 1)..=last {
            let value = 10f64.powi(decade);
            if decade >= first {
                let major = decade.rem_euclid(stride) == 0;
                let label = major.then(|| power_of_ten(decade));
                ticks.push(Tick {
                    at: self.at_clamped(value),
                    label,
                    major,
                });
            }
            if stride == 1 {
                for factor in 2..10 {
                    let value = value * f64::from(factor);
                    if self.shows(value) {
                        ticks.push(Tick {
                            at: self.at(value),
                            label: None,
                            major: false,
                        });
                    }
                }
            }
        }
        Ticks { ticks, power: None }
    }

    /// Ticks where fewer than two powers of ten are in range: 1, 2, 5, or linear steps.
    fn short_log_ticks(&self, direction: Direction) -> Ticks {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        for wanted in [&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], &[1, 2, 3, 5], &[1, 2, 5]] {
            let mut ticks = Vec::new();
            for decade in first..=last {
                for factor in 1..10 {
                    let value = f64::from(factor) * 10f64.powi(decade);
                    if !self.shows(value) {
                        continue;
                    }
                    let label = wanted.contains(&factor).then(|| multiple(factor, decade));
                    ticks.push(Tick {
                        at: self.at(value),
                        major: factor == 1,
                        label,
                    });
                }
            }
            let ticks = Ticks { ticks, power: None };
            if ticks.numbered().count() >= 2 && fits(&ticks, direction) {
                return ticks;
            }
        }
        self.linear_ticks(direction)
    }
}

/// A step of 1, 2 or 5 times a power of ten.
#[derive(Debug, Clone, Copy)]
struct Step {
    factor: u8,
    decade: i32,
}

impl Step {
    fn at_least(raw: f64) -> Self {
        let decade = raw.log10().floor() as i32;
        let mantissa = raw / 10f64.powi(decade);
        let factor = [1, 2, 5].into_iter().find(|f| mantissa <= f64::from(*f));
        factor.map_or(Self::new(1, decade + 1), |factor| Self::new(factor, decade))
    }

    const fn new(factor: u8, decade: i32) -> Self {
        Self { factor, decade }
    }

    fn next(self) -> Self {
        match self.factor {
            1 => Self::new(2, self.decade),
            2 => Self::new(5, self.decade),
            _ => Self::new(1, self.decade + 1),
        }
    }

    fn size(self) -> f64 {
        f64::from(self.factor) * 10f64.powi(self.decade)
    }

    /// Parts a step is divided into by minor ticks.
    fn minors(self) -> i32 {
        if self.factor == 2 { 4 } else { 5 }
    }
}

impl Ticks {
    /// The label of the axis, with the power that its numbers have been divided by.
    pub(super) fn scaled(&self, label: &str) -> String {
        match self.power {
            Some(power) => format!("{label} / 10^{{{}}}", fixed(f64::from(power), 0)),
            None => label.to_owned(),
        }
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (&Tick, &str)> + Clone {
        let ticks = self.ticks.iter();
        ticks.filter_map(|tick| Some((tick, tick.label.as_deref()?)))
    }
}

/// Whether labels keep clear of each other.
fn fits(ticks: &Ticks, direction: Direction) -> bool {
    let mut pairs = ticks.numbered().zip(ticks.numbered().skip(1));
    pairs.all(|((a, first), (b, second))| {
        let distance = (b.at - a.at).abs();
        match direction {
            Direction::Vertical(size) => distance >= size * 1.5,
            Direction::Horizontal(size) => {
                let widths = text::width(first, size, false) + text::width(second, size, false);
                distance >= widths / 2.0 + LABEL_GAP
            }
        }
    })
}

/// A number with a true minus sign.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    match plain.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => plain,
    }
}

/// 1, 10, or 10 with an exponent.
pub(super) fn power_of_ten(decade: i32) -> String {
    match decade {
        0 => "1".to_owned(),
        1 => "10".to_owned(),
        _ if decade < 0 => format!("10^{{−{}}}", -decade),
        _ => format!("10^{{{decade}}}"),
    }
}

/// A digit times a power of ten, written out where that is short.
fn multiple(factor: i32, decade: i32) -> String {
    match decade {
        0..=3 => format!("{}", factor * 10i32.pow(decade as u32)),
        -3..=-1 => fixed(f64::from(factor) * 10f64.powi(decade), (-decade) as usize),
        _ if factor == 1 => power_of_ten(decade),
        _ => format!("{factor}×{}", power_of_ten(decade)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        let ticks = axis.ticks(Direction::Horizontal(14.0));
        ticks
            .numbered()
            .map(|(_, label)| label.to_owned())
            .collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let axis = Axis::new(Scale::Linear, 280.0, 1000.0, (0.0, 400.0));
        assert_eq!(
            labels(axis),
            ["300", "400", "500", "600", "700", "800", "900", "1000"]
        );
        let axis = Axis::new(Scale::Linear, -0.25, 0.25, (0.0, 400.0));
        assert_eq!(labels(axis), ["−0.2", "−0.1", "0.0", "0.1", "0.2"]);
    }

    #[test]
    fn large_numbers_share_a_power() {
        let axis = Axis::new(Scale::Linear, 0.0, 4.0e6, (0.0, 400.0));
        let ticks = axis.ticks(Direction::Horizontal(14.0));
        assert_eq!(ticks.power, Some(6));
        assert!(labels(axis).contains(&"2".to_owned()) || labels(axis).contains(&"2.0".to_owned()));
    }

    #[test]
    fn log_ticks_are_powers() {
        let axis = Axis::new(Scale::Log, 0.5, 2e4, (0.0, 400.0));
        assert_eq!(labels(axis), ["1", "10", "10^{2}", "10^{3}", "10^{4}"]);
        let axis = Axis::new(Scale::Log, 0.3, 2.5, (0.0, 400.0));
        assert!(labels(axis).len() >= 3);
    }

    #[test]
    fn any_range_gives_an_axis_with_ticks() {
        let odd = [
            0.0,
            1.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e308,
            -1e308,
            1e-310,
            1e-250,
            3.0 + 1e-9,
            3.0,
        ];
        for low in odd {
            for high in odd {
                for scale in [Scale::Linear, Scale::Log] {
                    let axis = Axis::new(scale, low, high, (0.0, 300.0));
                    assert!(axis.low < axis.high, "{scale:?} {low} {high}");
                    for direction in [Direction::Horizontal(14.0), Direction::Vertical(14.0)] {
                        let ticks = axis.ticks(direction);
                        assert!(ticks.ticks.len() < 3000);
                        assert!(ticks.ticks.iter().all(|tick| tick.at.is_finite()));
                    }
                    assert!(axis.at(odd[6]).is_finite());
                }
            }
        }
    }
}
