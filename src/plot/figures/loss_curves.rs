//! Training of an ensemble: the loss of every member, epoch by epoch.
//!
//! Thin lines are members, the thick line is their median, the band holds the
//! central 68 %. A member counts in the epochs it was still training in. Best
//! epochs are a small histogram along the bottom. The y range follows the bulk
//! of the ensemble: one member that runs away, or the steep first epochs, do
//! not flatten everyone else.

use super::*;
use crate::statistics::quantile;

const MAX_LINES: usize = 150; // most members drawn as single lines; the statistics take all
const MAX_POINTS: usize = 300; // most points of a line
const RUG_SHARE: f64 = 0.14; // part of the panel under the curves that the best epochs take
/// Most bins of the best epochs' histogram.
const RUG_BINS: usize = 60;
const RUG: Fill<'_> = Fill(INK, 0.45);
const BEST_EPOCHS: &str = "best epochs";
/// The band's lower and upper quantile: one standard deviation of a normal.
const BAND: (f64, f64) = (0.16, 0.84);
const SHOWN: (f64, f64) = (0.0, 0.95); // quantiles of all losses that the y axis must show
/// How far above the range a late stray curve still moves the legend, in ranges.
const STRAY: f64 = 0.3;
/// Part of the members that must be in training for their median to mean something.
const LEAST_ACTIVE: f64 = 0.05;
const WARM_UP: f64 = 0.04; // first part of the training that does not set the y range
/// A member, one that failed, the medians of the validation and the training loss.
const MEMBER: Stroke<'_> = Stroke::solid(GREY, 0.8);
const FAILED: Stroke<'_> = Stroke::solid(RED, 1.0);
const MEDIAN: Stroke<'_> = Stroke::solid(BLUE, 2.4);
const TRAIN: Stroke<'_> = Stroke::solid(INK, 1.6).dashed("6 4");
const AREA: Fill<'_> = Fill(BLUE, 0.25);

pub(crate) struct LossCurves {
    pub members: Vec<Member>,
    pub y_label: String,
    pub title: String,
}

pub(crate) struct Member {
    pub train: Vec<f64>,
    pub validation: Vec<f64>,
    /// Index into `validation` of the epoch that was kept.
    pub best_epoch: usize,
    /// The member diverged or was given up.
    pub failed: bool,
}

/// Quantiles over the active members, one entry an epoch.
#[derive(Default)]
struct Summary {
    low: Vec<f64>,
    median: Vec<f64>,
    high: Vec<f64>,
    train: Vec<f64>,
}

impl LossCurves {
    /// Draws the figure; an error if no member has a single epoch.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let lengths = self.members.iter();
        let lengths = lengths.map(|m| m.validation.len().max(m.train.len()));
        let epochs = lengths.max().unwrap_or(0);
        check::drawable(epochs > 0, "loss curves", "member with one epoch")?;
        let summary = self.summary(epochs);
        let (low, high) = self.range(epochs, &summary);
        // The rug lies below the lowest curve.
        let low = low - (high - low) * (RUG_SHARE + 0.06);
        let peak = |epoch: usize| Peak {
            from: epoch as f64 + 0.5,
            to: epoch as f64 + 1.5,
            top: self.highest(epoch, &summary.train, (low, high)),
        };
        let peaks = (0..epochs).map(peak).collect();
        let y = Clear::new(Scale::Linear, low, peaks).at_least(high);
        let mut marks = self.member_lines();
        marks.extend(self.summary_lines(summary));
        let rug = self.rug(epochs);
        marks.push(Mark::Numbers(rug.numbers()));
        marks.push(Mark::Drawn(Box::new(move |canvas, panel| {
            rug.draw(canvas, panel);
        })));
        let title = self.heading();
        let chart = Chart::split(Head::new(&title, self.entries()), 480.0)
            .x("Epoch", Axis::linear(0.5, epochs as f64 + 0.5))
            .head_row(&self.y_label, y, marks);
        Ok(chart.draw())
    }

    fn sound(&self) -> impl Iterator<Item = &Member> + Clone {
        self.members.iter().filter(|member| !member.failed)
    }

    fn failed(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.failed)
    }

    /// Highest loss of an epoch, and of the median in training, that the legend must keep clear
    /// of. A curve that leaves the range is cut off by the frame: early on, where all do, at
    /// `high`; later, where few do, somewhat above.
    fn highest(&self, epoch: usize, train: &[f64], (low, high): (f64, f64)) -> f64 {
        let stray = if 2 * epoch < train.len() { 0.0 } else { STRAY };
        let cap = high + stray * (high - low);
        let losses = self.sound().filter_map(|m| m.validation.get(epoch));
        let finite = losses
            .chain(train.get(epoch))
            .filter(|loss| loss.is_finite());
        finite.fold(f64::NEG_INFINITY, |top, loss| top.max(loss.min(cap)))
    }

    fn summary(&self, epochs: usize) -> Summary {
        let at = |epoch: usize, curve: fn(&Member) -> &[f64]| -> Vec<f64> {
            let losses = self.sound().filter_map(|m| curve(m).get(epoch).copied());
            sorted(losses)
        };
        let least = (LEAST_ACTIVE * self.sound().count() as f64).ceil() as usize;
        let mut summary = Summary::default();
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
        let validation = self.sound().flat_map(|m| m.validation.iter().skip(skip));
        let median = summary.median.iter().skip(skip);
        let mut losses = sorted(validation.chain(median).copied());
        if losses.is_empty() {
            let members = self.members.iter();
            let all = members.flat_map(|m| m.validation.iter().chain(&m.train));
            losses = sorted(all.copied());
        }
        let (low, high) = (quantile(&losses, SHOWN.0), quantile(&losses, SHOWN.1));
        if !(low.is_finite() && high.is_finite()) {
            return (0.0, 1.0);
        }
        // A single member far below must not set the range either.
        let typical = quantile(&losses, 0.005);
        let is_alone = typical - low > high - typical;
        let low = if is_alone { typical } else { low };
        let train = summary.train.iter().skip(skip).copied();
        let low = train.filter(|loss| loss.is_finite()).fold(low, f64::min);
        let axis = Axis::linear(low, high);
        (axis.low, axis.high)
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        let mut entries = match self.members.len() > 1 {
            true => vec![
                Entry::new("validation, member", Key::Line(MEMBER)),
                Entry::new("validation, median and 68 %", Key::LineOnArea(MEDIAN, AREA)),
                Entry::new("training, median", Key::Line(TRAIN)),
            ],
            false => vec![
                Entry::new("validation", Key::Line(MEDIAN)),
                Entry::new("training", Key::Line(TRAIN)),
            ],
        };
        if self.failed().next().is_some() {
            entries.push(Entry::new("failed member", Key::Line(FAILED)));
        }
        entries.push(Entry::new(BEST_EPOCHS, Key::Area(RUG)));
        entries
    }

    /// Title and counts, in one line above the frame: curves fall from the corner inside it.
    fn heading(&self) -> String {
        let count = self.members.len();
        let failed = self.failed().count();
        let parts = [
            (!self.title.is_empty(), self.title.clone()),
            (count > 1, format!("{count} members")),
            (failed > 0, format!("{failed} failed")),
            (count > MAX_LINES, format!("{MAX_LINES} lines drawn")),
        ];
        let said = parts.into_iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, part)| part).collect::<Vec<_>>().join(", ")
    }

    fn member_lines(&self) -> Vec<Mark<'_>> {
        let step = self.members.len().div_ceil(MAX_LINES).max(1);
        let opacity = (8.0 / self.members.len() as f64).clamp(0.22, 0.8);
        let line = |stroke| move |m: &Member| Mark::Line(curve(&m.validation), stroke);
        let sound = self.sound().step_by(step).map(line(MEMBER.faded(opacity)));
        let failed = self.failed().take(MAX_LINES).map(line(FAILED));
        sound.chain(failed).collect()
    }

    fn summary_lines(&self, summary: Summary) -> Vec<Mark<'_>> {
        let mut marks = Vec::new();
        if self.members.len() > 1 {
            let mut outline = curve(&summary.high);
            outline.extend(curve(&summary.low).into_iter().rev());
            outline.retain(|(_, loss)| loss.is_finite());
            marks.push(Mark::Area(outline, AREA));
        }
        marks.push(Mark::Line(curve(&summary.train), TRAIN));
        marks.push(Mark::Line(curve(&summary.median), MEDIAN));
        if let [alone] = *summary.median {
            marks.push(Mark::Drawn(Box::new(move |canvas, panel| {
                let at = panel.at((1.0, alone));
                canvas.circle(at, 4.0, BLUE, Stroke::solid(BLUE, 1.0));
            })));
        }
        marks
    }

    fn rug(&self, epochs: usize) -> Rug {
        let width = epochs.div_ceil(RUG_BINS).max(1);
        let mut counts = vec![0usize; epochs.div_ceil(width)];
        for member in self.sound() {
            if let Some(count) = counts.get_mut(member.best_epoch / width) {
                *count += 1;
            }
        }
        Rug { width, counts }
    }
}

/// The histogram of best epochs.
struct Rug {
    /// Epochs in a bin.
    width: usize,
    counts: Vec<usize>,
}

impl Rug {
    fn edge(&self, bin: usize) -> f64 {
        (bin * self.width) as f64 + 0.5
    }

    fn numbers(&self) -> Lists {
        let edges = (0..=self.counts.len()).map(|bin| self.edge(bin));
        let values = self.counts.iter().map(|count| *count as f64);
        let lists = Lists::new("histogram", BEST_EPOCHS).list("edges", edges);
        lists.list("values", values)
    }

    /// Draws it along the bottom.
    fn draw(&self, canvas: &mut Canvas, Panel { x, y }: &Panel) {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let reach = RUG_SHARE * 0.8 * y.length();
        let counts = self.counts.iter().enumerate();
        for (bin, count) in counts.filter(|(_, count)| **count > 0) {
            let [from, to] = [bin, bin + 1].map(|bin| x.at(self.edge(bin)));
            let top = y.start - reach * *count as f64 / most as f64;
            let gap = if to - from > 4.0 { 0.5 } else { 0.0 };
            canvas.rect((from + gap, y.start), (to - gap, top), RUG);
        }
    }
}

/// A curve over epochs 1, 2, ..., thinned if long.
fn curve(losses: &[f64]) -> Vec<(f64, f64)> {
    let step = losses.len().div_ceil(MAX_POINTS).max(1);
    let points = losses.iter().enumerate().step_by(step);
    points
        .map(|(epoch, loss)| (epoch as f64 + 1.0, *loss))
        .collect()
}

/// What is finite, in rising order.
fn sorted(losses: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut losses: Vec<f64> = losses.filter(|loss| loss.is_finite()).collect();
    losses.sort_by(f64::total_cmp);
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves(members: &[(f64, usize)]) -> LossCurves {
        let member = |&(scale, epochs): &(f64, usize)| {
            let losses = (0..epochs).map(|e| scale * (1.0 + 5.0 / (e + 1) as f64));
            let validation: Vec<f64> = losses.collect();
            Member {
                train: validation.clone(),
                validation,
                best_epoch: epochs - 1,
                failed: false,
            }
        };
        LossCurves {
            members: members.iter().map(member).collect(),
            y_label: String::new(),
            title: String::new(),
        }
    }

    #[test]
    fn one_runaway_member_does_not_set_the_range() {
        let mut members = [(1.0, 100); 51];
        members[50].0 = 1e6;
        let curves = curves(&members);
        let (_, high) = curves.range(100, &curves.summary(100));
        assert!(high < 10.0, "{high}");
    }

    #[test]
    fn the_frame_holds_the_median_in_training() {
        let mut curves = curves(&[(1.0, 100); 3]);
        for member in &mut curves.members {
            member.train.iter_mut().for_each(|loss| *loss -= 40.0);
        }
        let (low, _) = curves.range(100, &curves.summary(100));
        assert_eq!(low, curves.members[0].train[99]);
    }

    #[test]
    fn members_count_while_they_train() {
        let curves = curves(&[(1.0, 10), (3.0, 4)]);
        let summary = curves.summary(10);
        assert_eq!(summary.median[9], curves.members[0].validation[9]);
        assert!(summary.median[3] > curves.members[0].validation[3]);
    }
}
