//! Axes: from values to pixels.
//!
//! An axis can be built from any two numbers. What is not usable (not finite,
//! empty, not positive on a logarithmic axis) is replaced by a range that is.

const HUGE: f64 = 1e300; // largest magnitude an axis shows; keeps differences finite
const TINY: f64 = 1e-300; // smallest positive end of a logarithmic axis
/// How far outside the axis a value may be drawn, in axis lengths; the rest is clipped anyway.
const OVERSHOOT: f64 = 4.0;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

impl Scale {
    /// The coordinate in which the axis is uniform; not finite where there is none.
    pub(super) fn warp(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log if value <= 0.0 => f64::NEG_INFINITY,
            Self::Log => value.log10(),
        }
    }

    pub(super) fn unwarp(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => 10f64.powf(value),
        }
    }
}

/// A range of values laid over a range of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    /// First pixel; for a vertical axis the lower end.
    pub(super) start: f64,
    pub(super) end: f64,
}

impl Axis {
    /// An axis over a usable range near `[low, high]`.
    pub(super) fn new(scale: Scale, low: f64, high: f64, (start, end): (f64, f64)) -> Self {
        let (low, high) = usable_range(scale, low, high);
        Self {
            scale,
            low,
            high,
            start,
            end,
        }
    }

    /// The linear axis over a usable range near `[low, high]`, yet without pixels.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        Self::new(Scale::Linear, low, high, (0.0, 1.0))
    }

    /// The same axis laid over other pixels.
    pub(super) const fn over(self, (start, end): (f64, f64)) -> Self {
        Self { start, end, ..self }
    }

    /// Pixel of a value; values far outside end up somewhat outside.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.start + self.fraction(value) * (self.end - self.start)
    }

    /// Pixel of a value, moved to the nearer end if outside.
    pub(super) fn at_clamped(&self, value: f64) -> f64 {
        self.start + self.fraction(value).clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Position of a value: 0 at the start, 1 at the end. Not a number stays so.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        if value.is_nan() {
            return f64::NAN;
        }
        let (low, high) = (self.scale.warp(self.low), self.scale.warp(self.high));
        let position = (self.scale.warp(value) - low) / (high - low);
        position.clamp(-OVERSHOOT, 1.0 + OVERSHOOT)
    }

    pub(super) fn shows(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    pub(super) fn length(&self) -> f64 {
        (self.end - self.start).abs()
    }
}

fn usable_range(scale: Scale, low: f64, high: f64) -> (f64, f64) {
    let clean = |value: f64, otherwise: f64| match value.is_finite() {
        true => value.clamp(-HUGE, HUGE),
        false => otherwise,
    };
    let (mut low, mut high) = (clean(low, 0.0), clean(high, 1.0));
    if low > high {
        std::mem::swap(&mut low, &mut high);
    }
    match scale {
        Scale::Linear => {
            let size = low.abs().max(high.abs());
            if high - low > 1e-10 * size && high - low > TINY {
                (low, high)
            } else if size > TINY {
                (low - 0.5 * size, high + 0.5 * size)
            } else {
                (0.0, 1.0)
            }
        }
        Scale::Log => {
            if high <= TINY {
                return (0.1, 1.0);
            }
            let low = if low > TINY { low } else { high * 1e-3 };
            if high / low > 1.0 + 1e-9 {
                (low, high)
            } else {
                (low / 3.0, high * 3.0)
            }
        }
    }
}
