//! Training of an ensemble: the loss of every member, epoch by epoch.
//!
//! Thin lines are members, the thick line is their median, the band holds the
//! central 68 %. A member counts in the epochs it was still training in. Best
//! epochs are a small histogram along the bottom. The y range follows the bulk
//! of the ensemble: one member that runs away, or the steep first epochs, do
//! not flatten everyone else.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::plane::{HEADER, header};
use super::style::{BLUE, BOTTOM, GREY, INK, LEFT, RED, RIGHT, WIDTH};
use super::{Figure, PlotError};

/// Height of the figure.
const HEIGHT: f64 = 480.0;
/// Most members drawn as single lines; the statistics take all.
const MAX_LINES: usize = 150;
/// Most points of a line.
const MAX_POINTS: usize = 300;
/// Part of the panel under the curves that the best epochs take.
const RUG_SHARE: f64 = 0.14;
/// Most bins of the best epochs' histogram.
const RUG_BINS: usize = 60;
/// The band's lower and upper quantile: one standard deviation of a normal.
const BAND: (f64, f64) = (0.16, 0.84);
/// Quantiles of all losses that the y axis must show.
const SHOWN: (f64, f64) = (0.0, 0.95);
/// How far above the range a late stray curve still moves the legend, in ranges.
const STRAY: f64 = 0.3;
/// How far below the validation losses the training loss still stretches the range.
const OVERFIT: f64 = 1.0;
/// Part of the members that must be in training for their median to mean something.
const LEAST_ACTIVE: f64 = 0.05;
/// First part of the training that does not set the y range.
const WARM_UP: f64 = 0.04;

/// Losses of all members of an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossCurves {
    /// Members, in any order.
    pub members: Vec<Member>,
    /// Label of the y axis.
    pub y_label: String,
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
}

/// Losses of one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Training loss after each epoch.
    pub train: Vec<f64>,
    /// Validation loss after each epoch.
    pub validation: Vec<f64>,
    /// Index into `validation` of the epoch that was kept.
    pub best_epoch: usize,
    /// The member diverged or was given up.
    pub failed: bool,
}

/// Quantiles over the active members, one entry an epoch.
struct Summary {
    low: Vec<f64>,
    median: Vec<f64>,
    high: Vec<f64>,
    train: Vec<f64>,
}

impl LossCurves {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no member has a single epoch.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let epochs = self
            .members
            .iter()
            .map(|m| m.validation.len().max(m.train.len()))
            .max()
            .unwrap_or(0);
        if epochs == 0 {
            return Err(PlotError::Empty {
                what: "loss curves".to_owned(),
                expected: "member with one epoch".to_owned(),
            });
        }
        let summary = self.summary(epochs);
        let ends = (0.5, epochs as f64 + 0.5);
        let x = Axis::new(Scale::Linear, ends.0, ends.1, (LEFT, WIDTH - RIGHT));
        let bottom = HEIGHT - BOTTOM;
        let (low, high) = self.range(epochs, &summary);
        // The rug lies below the lowest curve.
        let low = low - (high - low) * (RUG_SHARE + 0.06);
        let topping = self.topping();
        let peaks: Vec<Peak> = (0..epochs)
            .map(|epoch| Peak {
                from: x.at(epoch as f64 + 0.5),
                to: x.at(epoch as f64 + 1.5),
                top: self.highest(epoch, epochs, (low, high)),
            })
            .collect();
        let placement = topping.place(&x, bottom - HEADER, (Scale::Linear, low), &peaks);
        let y = Axis::new(
            Scale::Linear,
            low,
            placement.high.max(high),
            (bottom, HEADER),
        );
        let panel = Panel { x, y };
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        panel.clipped(&mut canvas, |canvas| {
            self.member_lines(canvas, &panel);
            self.summary_lines(canvas, &panel, &summary);
            self.best_epochs(canvas, &panel, epochs);
        });
        panel.frame(&mut canvas, Some("Epoch"), &self.y_label);
        topping.draw(&mut canvas, (x.start, HEADER), &placement);
        header(&mut canvas, &self.heading(), x.start, x.end);
        Ok(canvas.finish())
    }

    /// Highest loss of an epoch that the legend must keep clear of. A curve
    /// that leaves the range is cut off by the frame: early on, where all do,
    /// at `high`; later, where few do, somewhat above.
    fn highest(&self, epoch: usize, epochs: usize, (low, high): (f64, f64)) -> f64 {
        let early = 2 * epoch < epochs;
        let cap = if early {
            high
        } else {
            high + STRAY * (high - low)
        };
        let sound = self.members.iter().filter(|member| !member.failed);
        sound
            .filter_map(|member| member.validation.get(epoch))
            .filter(|loss| loss.is_finite())
            .fold(f64::NEG_INFINITY, |top, loss| top.max(loss.min(cap)))
    }

    fn summary(&self, epochs: usize) -> Summary {
        let at = |epoch: usize, curve: fn(&Member) -> &[f64]| -> Vec<f64> {
            let members = self.members.iter().filter(|member| !member.failed);
            let losses = members.filter_map(|member| curve(member).get(epoch).copied());
            let mut losses: Vec<f64> = losses.filter(|loss| loss.is_finite()).collect();
            losses.sort_by(f64::total_cmp);
            losses
        };
        let mut summary = Summary {
            low: vec![],
            median: vec![],
            high: vec![],
            train: vec![],
        };
        let sound = self.members.iter().filter(|member| !member.failed).count();
        let least = (LEAST_ACTIVE * sound as f64).ceil() as usize;
        for epoch in 0..epochs {
            let mut validation = at(epoch, |member| &member.validation);
            let mut train = at(epoch, |member| &member.train);
            if validation.len() < least {
                validation.clear();
                train.clear();
            }
            summary.low.push(quantile(&validation, BAND.0));
            summary.median.push(quantile(&validation, 0.5));
            summary.high.push(quantile(&validation, BAND.1));
            summary.train.push(quantile(&train, 0.5));
        }
        summary
    }

    /// The range of losses worth showing.
    fn range(&self, epochs: usize, summary: &Summary) -> (f64, f64) {
        let skip = (WARM_UP * epochs as f64).ceil() as usize;
        let skip = if epochs > 5 { skip.max(1) } else { 0 };
        let mut losses: Vec<f64> = self
            .members
            .iter()
            .filter(|member| !member.failed)
            .flat_map(|member| member.validation.iter().skip(skip))
            .chain(summary.median.iter().skip(skip))
            .copied()
            .filter(|loss| loss.is_finite())
            .collect();
        if losses.is_empty() {
            let all = self
                .members
                .iter()
                .flat_map(|m| m.validation.iter().chain(&m.train));
            losses = all.copied().filter(|loss| loss.is_finite()).collect();
        }
        losses.sort_by(f64::total_cmp);
        let (low, high) = (quantile(&losses, SHOWN.0), quantile(&losses, SHOWN.1));
        if !(low.is_finite() && high.is_finite()) {
            return (0.0, 1.0);
        }
        // A single member far below must not set the range either.
        let typical = quantile(&losses, 0.005);
        let low = if typical - low > high - typical {
            typical
        } else {
            low
        };
        let train = summary.train.iter().skip(skip).copied();
        let train = train.filter(|loss| loss.is_finite()).fold(low, f64::min);
        let low = train.max(low - OVERFIT * (high - low));
        let axis = Axis::new(Scale::Linear, low, high, (0.0, 1.0));
        (axis.low, axis.high)
    }

    fn topping(&self) -> Topping<'static> {
        let entry = |label: &str, key| Entry {
            label: label.to_owned(),
            key,
        };
        let failed = self.members.iter().filter(|member| member.failed).count();
        let mut entries = Vec::new();
        if self.members.len() > 1 {
            entries.push(entry("validation, member", Key::Line(MEMBER)));
            let key = Key::LineOnArea(MEDIAN, BLUE.to_owned(), BAND_OPACITY);
            entries.push(entry("validation, median and 68 %", key));
            entries.push(entry("training, median", Key::Line(TRAIN)));
        } else {
            entries.push(entry("validation", Key::Line(MEDIAN)));
            entries.push(entry("training", Key::Line(TRAIN)));
        }
        if failed > 0 {
            entries.push(entry("failed member", Key::Line(FAILED)));
        }
        entries.push(entry("best epochs", Key::Area(INK.to_owned(), RUG_OPACITY)));
        Topping {
            branded: false,
            entries,
            ..Topping::default()
        }
    }

    /// Title and counts, in one line above the frame: curves fall from the corner inside it.
    fn heading(&self) -> String {
        let count = self.members.len();
        let failed = self.members.iter().filter(|member| member.failed).count();
        let mut parts = vec![self.title.clone()];
        if count > 1 {
            parts.push(format!("{count} members"));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if count > MAX_LINES {
            parts.push(format!("{MAX_LINES} lines drawn"));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(", ")
    }

    fn member_lines(&self, canvas: &mut Canvas, panel: &Panel) {
        let step = self.members.len().div_ceil(MAX_LINES).max(1);
        let failed = self
            .members
            .iter()
            .filter(|member| member.failed)
            .take(MAX_LINES);
        let sound = self
            .members
            .iter()
            .filter(|member| !member.failed)
            .step_by(step);
        let opacity = (8.0 / self.members.len() as f64).clamp(0.22, 0.8);
        for member in sound.chain(failed) {
            let stroke = if member.failed {
                FAILED
            } else {
                MEMBER.faded(opacity)
            };
            canvas.polyline(&curve(panel, &member.validation), stroke);
        }
    }

    fn summary_lines(&self, canvas: &mut Canvas, panel: &Panel, summary: &Summary) {
        if self.members.len() > 1 {
            let mut outline = curve(panel, &summary.high);
            outline.extend(curve(panel, &summary.low).into_iter().rev());
            outline.retain(|(_, y)| y.is_finite());
            canvas.polygon(&outline, BLUE, BAND_OPACITY);
        }
        canvas.polyline(&curve(panel, &summary.train), TRAIN);
        canvas.polyline(&curve(panel, &summary.median), MEDIAN);
        if summary.median.len() == 1 {
            let at = panel.at(1.0, summary.median[0]);
            canvas.circle(at, 4.0, BLUE, Stroke::solid(BLUE, 1.0));
        }
    }

    fn best_epochs(&self, canvas: &mut Canvas, panel: &Panel, epochs: usize) {
        let width = epochs.div_ceil(RUG_BINS).max(1);
        let mut counts = vec![0usize; epochs.div_ceil(width)];
        for member in self.members.iter().filter(|member| !member.failed) {
            if let Some(count) = counts.get_mut(member.best_epoch / width) {
                *count += 1;
            }
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let reach = RUG_SHARE * 0.8 * panel.y.length();
        for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let from = panel.x.at((bin * width) as f64 + 0.5);
            let to = panel.x.at(((bin + 1) * width) as f64 + 0.5);
            let top = panel.y.start - reach * *count as f64 / most as f64;
            let gap = if to - from > 4.0 { 0.5 } else { 0.0 };
            let corner = (from + gap, panel.y.start);
            canvas.rect(corner, (to - gap, top), INK, RUG_OPACITY);
        }
    }
}

/// Single members.
const MEMBER: Stroke<'static> = Stroke::solid(GREY, 0.8);
/// Members that failed.
const FAILED: Stroke<'static> = Stroke::solid(RED, 1.0);
/// Median of the validation loss.
const MEDIAN: Stroke<'static> = Stroke::solid(BLUE, 2.4);
/// Median of the training loss.
const TRAIN: Stroke<'static> = Stroke::solid(INK, 1.6).dashed("6 4");
/// Opacity of the band.
const BAND_OPACITY: f64 = 0.25;
/// Opacity of the histogram of best epochs.
const RUG_OPACITY: f64 = 0.45;

/// A curve over epochs 1, 2, ... in pixels, thinned if long.
fn curve(panel: &Panel, losses: &[f64]) -> Vec<(f64, f64)> {
    let step = losses.len().div_ceil(MAX_POINTS).max(1);
    let points = losses.iter().enumerate().step_by(step);
    points
        .map(|(epoch, loss)| panel.at(epoch as f64 + 1.0, *loss))
        .collect()
}

/// Linear interpolation between order statistics; not a number for an empty list.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = probability * last as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let weight = position - below as f64;
    sorted[below] * (1.0 - weight) + sorted[above] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(scale: f64, epochs: usize) -> Member {
        let validation: Vec<f64> = (0..epochs)
            .map(|e| scale * (1.0 + 5.0 / (e + 1) as f64))
            .collect();
        Member {
            train: validation.clone(),
            validation,
            best_epoch: epochs - 1,
            failed: false,
        }
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0], 0.25), 1.25);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn one_runaway_member_does_not_set_the_range() {
        let mut members: Vec<Member> = (0..50).map(|_| member(1.0, 100)).collect();
        members.push(member(1e6, 100));
        let curves = LossCurves {
            members,
            y_label: String::new(),
            title: String::new(),
        };
        let (_, high) = curves.range(100, &curves.summary(100));
        assert!(high < 10.0, "{high}");
    }

    #[test]
    fn members_count_while_they_train() {
        let members = vec![member(1.0, 10), member(3.0, 4)];
        let curves = LossCurves {
            members,
            y_label: String::new(),
            title: String::new(),
        };
        let summary = curves.summary(10);
        assert_eq!(summary.median[9], curves.members[0].validation[9]);
        assert!(summary.median[3] > curves.members[0].validation[3]);
    }
}
