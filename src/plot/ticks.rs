//! Ticks: where they go, and what their numbers say.
//!
//! Steps are 1, 2 or 5 times a power of ten, as fine as labels that keep clear
//! of each other allow.

use super::axes::{Axis, Scale};
use super::text;

const LARGE_POWER: i32 = 5; // numbers from 10 to this power on share a power of ten
const SMALL_POWER: i32 = -4; // numbers of 10 to this power and below share a power of ten
const LABEL_GAP: f64 = 16.0; // free space between two labels on a horizontal axis, in pixels

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
        let room = match direction {
            Direction::Horizontal(size) => size * 2.0 + LABEL_GAP,
            Direction::Vertical(size) => size * 2.6,
        };
        let finest = (self.length() / room).max(1.0);
        let mut choices = steps(span / finest).map(|(factor, decade)| {
            let size = f64::from(factor) * 10f64.powi(decade);
            let decimals = (power.unwrap_or(0) - decade).clamp(0, 15) as usize;
            // A step is divided into that many parts by minor ticks.
            let parts = if factor == 2 { 4.0 } else { 5.0 };
            (size, self.with_step(size / parts, parts, decimals, power))
        });
        let fitting = choices.find(|(size, ticks)| fits(ticks, direction) || *size > span);
        fitting.expect("steps become larger than any span").1
    }

    /// Ticks at multiples of `minor`; every `parts`-th has a number.
    fn with_step(&self, minor: f64, parts: f64, decimals: usize, power: Option<i32>) -> Ticks {
        let unit = 10f64.powi(power.unwrap_or(0));
        let slack = 1e-6;
        let first = (self.low / minor - slack).ceil();
        let count = ((self.high - self.low) / minor + 1.0).min(1000.0) as usize;
        let indices = (0..=count).map(|index| first + index as f64);
        let shown = indices.take_while(|index| index * minor <= self.high + slack * minor);
        let ticks = shown.map(|index| {
            let (value, is_major) = (index * minor, index.rem_euclid(parts) == 0.0);
            let label = is_major.then(|| fixed(value / unit, decimals));
            self.tick(value, is_major, label)
        });
        let ticks = ticks.collect();
        Ticks { ticks, power }
    }

    fn tick(&self, value: f64, major: bool, label: Option<String>) -> Tick {
        let at = self.at_clamped(value);
        Tick { at, label, major }
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
                ticks.push(self.tick(value, major, label));
            }
            if stride == 1 {
                let values = (2..10).map(|factor| value * f64::from(factor));
                let shown = values.filter(|value| self.shows(*value));
                ticks.extend(shown.map(|value| self.tick(value, false, None)));
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
            for (decade, factor) in (first..=last).flat_map(|d| (1..10).map(move |f| (d, f))) {
                let value = f64::from(factor) * 10f64.powi(decade);
                if self.shows(value) {
                    let label = wanted.contains(&factor).then(|| multiple(factor, decade));
                    ticks.push(self.tick(value, factor == 1, label));
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

/// Factors and powers of ten of steps, from the first that is not smaller than `least`.
fn steps(least: f64) -> impl Iterator<Item = (i32, i32)> {
    let decade = least.log10().floor() as i32;
    let mantissa = least / 10f64.powi(decade);
    let all = (decade..).flat_map(|decade| [1, 2, 5].map(|factor| (factor, decade)));
    all.skip_while(move |(factor, d)| *d == decade && mantissa > f64::from(*factor))
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
    use crate::plot::tests::ODD;

    fn labels(axis: Axis) -> Vec<String> {
        let ticks = axis.ticks(Direction::Horizontal(14.0));
        ticks
            .numbered()
            .map(|(_, label)| label.to_owned())
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = |low, high| Axis::linear(low, high).over((0.0, 400.0));
        let hundreds = ["300", "400", "500", "600", "700", "800", "900", "1000"];
        assert_eq!(labels(axis(280.0, 1000.0)), hundreds);
        let tenths = ["−0.2", "−0.1", "0.0", "0.1", "0.2"];
        assert_eq!(labels(axis(-0.25, 0.25)), tenths);
        // Large numbers share a power.
        let large = axis(0.0, 4.0e6);
        assert_eq!(large.ticks(Direction::Horizontal(14.0)).power, Some(6));
        assert!(
            labels(large)
                .iter()
                .any(|label| label == "2" || label == "2.0")
        );
        let axis = |low, high| Axis::new(Scale::Log, low, high, (0.0, 400.0));
        let powers = ["1", "10", "10^{2}", "10^{3}", "10^{4}"];
        assert_eq!(labels(axis(0.5, 2e4)), powers);
        assert!(labels(axis(0.3, 2.5)).len() >= 3);
    }

    #[test]
    fn any_range_gives_an_axis_with_ticks() {
        let odd = ODD.iter().copied().chain([1e-310, 1e-250, 3.0 + 1e-9, 3.0]);
        for low in odd.clone() {
            for high in odd.clone() {
                for scale in [Scale::Linear, Scale::Log] {
                    let axis = Axis::new(scale, low, high, (0.0, 300.0));
                    assert!(axis.low < axis.high, "{scale:?} {low} {high}");
                    for direction in [Direction::Horizontal(14.0), Direction::Vertical(14.0)] {
                        let ticks = axis.ticks(direction);
                        assert!(ticks.ticks.len() < 3000);
                        assert!(ticks.ticks.iter().all(|tick| tick.at.is_finite()));
                    }
                    assert!(axis.at(1e308).is_finite());
                }
            }
        }
    }
}
