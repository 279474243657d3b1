//! Pulls and impacts of nuisance parameters, ranked, one row each.
//!
//! Two panels share the rows because they have different scales: on the left
//! the pull in units of the constraint's width, on the right the change of the
//! parameter of interest, in its own unit, when the nuisance parameter moves up
//! or down by its error before (open) and after (filled) the fit.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::panel::Panel;
use super::shapes::Marker;
use super::style::{BLUE, BOTTOM, GREY, INK, LEGEND_SIZE, NOTE_SIZE, ORANGE, RIGHT};
use super::text;
use super::{Figure, PlotError};

/// Width of the figure.
const WIDTH: f64 = 800.0;
/// Height of a row.
const PITCH: f64 = 22.0;
/// Most rows; the caller makes several figures of more.
const MAX_ROWS: usize = 30;
/// Left edge of what is written.
const NAMES: f64 = 10.0;
/// Widest column of names.
const MAX_NAME: f64 = 270.0;
/// Width of the column of ranks.
const RANKS: f64 = 30.0;
/// Space between the rows and the frame, for the ticks.
const PADDING: f64 = 7.0;
/// Free space between the two panels, for the outermost numbers of their axes.
const BETWEEN: f64 = 26.0;
/// Part of the panels' width that the pulls take.
const PULL_SHARE: f64 = 0.46;
/// Pulls that the axis shows at least and at most; arrows stand for those beyond.
const PULL_REACH: (f64, f64) = (2.2, 5.2);
/// Half of a bar's height, in rows.
const HALF_BAR: f64 = 0.34;
/// Opacity of the band of one standard deviation.
const BAND_OPACITY: f64 = 0.14;
/// Opacity of the shade of every second row.
const STRIPE_OPACITY: f64 = 0.04;

/// A page of the ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impacts {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// The parameter of interest, for the label "Δμ" and with its unit.
    pub parameter: String,
    /// Rows in order of rank, the largest impact first; at most 30 are drawn.
    pub rows: Vec<ImpactRow>,
    /// Rank of the first row, counted from one; zero leaves the ranks out.
    #[serde(default)]
    pub first_rank: usize,
    /// Small lines below the title, for example the fitted value of the parameter.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One nuisance parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImpactRow {
    pub name: String,
    /// (fitted value − central value) / width of the constraint.
    pub pull: f64,
    /// Errors after the fit, downward and upward, in units of the constraint's width.
    pub pull_errors: (f64, f64),
    /// Written in place of the pull of a parameter without constraint, for example "1.03 ± 0.04".
    #[serde(default)]
    pub unconstrained: Option<String>,
    /// Change of the parameter of interest for a move down and up by the error after the fit.
    pub post_fit: (f64, f64),
    /// The same for the error before the fit, if there was one.
    #[serde(default)]
    pub pre_fit: Option<(f64, f64)>,
}

/// The two panels and the rows they share.
struct Layout {
    pulls: Panel,
    impacts: Panel,
}

impl Impacts {
    /// Draws the figure, the first row on top.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if there is no row.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        if self.rows.is_empty() {
            return Err(PlotError::Empty {
                what: format!("impacts on {}", self.parameter),
                expected: "nuisance parameter".to_owned(),
            });
        }
        let strip = self.strip();
        let right = WIDTH - RIGHT;
        let top = strip.height((NAMES, right));
        let bottom = top + PITCH * self.shown().len() as f64 + 2.0 * PADDING;
        let layout = self.layout((bottom, top));
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
        layout.ground(&mut canvas, self.shown().len());
        for (index, row) in self.shown().iter().enumerate() {
            let y = top + PADDING + (index as f64 + 0.5) * PITCH;
            self.write_name(&mut canvas, index, y, layout.pulls.x.start);
            let pulls = &layout.pulls;
            pulls.clipped(&mut canvas, |canvas| row.draw_pull(canvas, pulls, y));
            let impacts = &layout.impacts;
            impacts.clipped(&mut canvas, |canvas| row.draw_impact(canvas, impacts, y));
        }
        let pull_label = "(θ^{fit} − θ_{0}) / Δθ";
        layout.pulls.frame_of_rows(&mut canvas, pull_label);
        let label = format!("Δ{}", self.parameter);
        layout.impacts.frame_of_rows(&mut canvas, &label);
        strip.draw(&mut canvas, (NAMES, right));
        Ok(canvas.finish())
    }

    fn shown(&self) -> &[ImpactRow] {
        &self.rows[..self.rows.len().min(MAX_ROWS)]
    }

    fn layout(&self, pixels: (f64, f64)) -> Layout {
        let rows = self.shown().iter();
        let names = rows.map(|row| text::width(&row.name, LEGEND_SIZE, false));
        let left = self.names() + names.fold(60.0, f64::max).min(MAX_NAME) + 12.0;
        let room = WIDTH - RIGHT - left - BETWEEN;
        let middle = left + PULL_SHARE * room;
        let y = Axis::new(Scale::Linear, 0.0, 1.0, pixels);
        let axis = |reach: f64, ends| Axis::new(Scale::Linear, -reach, reach, ends);
        Layout {
            pulls: Panel {
                x: axis(self.pull_reach(), (left, middle)),
                y,
            },
            impacts: Panel {
                x: axis(self.impact_reach(), (middle + BETWEEN, WIDTH - RIGHT)),
                y,
            },
        }
    }

    fn pull_reach(&self) -> f64 {
        let ends = self.shown().iter().flat_map(|row| {
            let (down, up) = row.errors();
            [row.pull - down, row.pull + up]
        });
        let reach = ends.map(f64::abs).filter(|end| end.is_finite());
        (1.1 * reach.fold(0.0, f64::max)).clamp(PULL_REACH.0, PULL_REACH.1)
    }

    fn impact_reach(&self) -> f64 {
        let ends = self.shown().iter().flat_map(|row| {
            let (down, up) = row.post_fit;
            let before = row.pre_fit.unwrap_or_default();
            [down, up, before.0, before.1]
        });
        let reach = ends.map(f64::abs).filter(|end| end.is_finite());
        1.12 * reach.fold(0.0, f64::max)
    }

    /// Left edge of the names, right of the ranks if there are any.
    fn names(&self) -> f64 {
        NAMES + if self.first_rank > 0 { RANKS } else { 0.0 }
    }

    /// Writes the rank and the name of a row, which end at pixel `end`, the frame.
    fn write_name(&self, canvas: &mut Canvas, row: usize, y: f64, end: f64) {
        let name = &self.rows[row].name;
        let (name, size) = text::fit(name, LEGEND_SIZE, false, end - self.names() - 8.0);
        let at = (end - 8.0, y + 0.36 * size);
        canvas.text(at, &name, Type::new(size, Anchor::End));
        if self.first_rank > 0 {
            let kind = Type {
                colour: GREY,
                ..Type::new(NOTE_SIZE, Anchor::End)
            };
            let at = (self.names() - 8.0, y + 0.36 * NOTE_SIZE);
            canvas.text(at, &(self.first_rank + row).to_string(), kind);
        }
    }

    fn strip(&self) -> Strip<'static> {
        let entry = |label: &str, key| Entry {
            label: label.to_owned(),
            key,
        };
        let mut entries = vec![
            entry("pull, post-fit error", Key::Point(PULL)),
            entry("+1σ, post-fit", Key::Area(UP.to_owned(), 1.0)),
            entry("−1σ, post-fit", Key::Area(DOWN.to_owned(), 1.0)),
        ];
        entries.push(entry(
            "pre-fit ±1σ",
            Key::Area(GREY.to_owned(), BAND_OPACITY),
        ));
        if self.shown().iter().any(|row| row.pre_fit.is_some()) {
            entries.push(entry("+1σ, pre-fit", Key::Frame(open(UP))));
            entries.push(entry("−1σ, pre-fit", Key::Frame(open(DOWN))));
        }
        let mut notes = self.notes.clone();
        if self.rows.len() > MAX_ROWS {
            notes.push(format!(
                "and {} more parameters",
                self.rows.len() - MAX_ROWS
            ));
        }
        Strip {
            title: self.title.clone(),
            notes,
            entries,
        }
    }
}

impl Layout {
    /// Shades and lines that all rows share.
    fn ground(&self, canvas: &mut Canvas, rows: usize) {
        for panel in [&self.pulls, &self.impacts] {
            let (x, top) = (panel.x, panel.y.end);
            for row in (1..rows).step_by(2) {
                let y = top + PADDING + row as f64 * PITCH;
                canvas.rect((x.start, y), (x.end, y + PITCH), INK, STRIPE_OPACITY);
            }
            let zero = x.at(0.0);
            canvas.line((zero, panel.y.start), (zero, top), ZERO);
        }
        let (x, y) = (self.pulls.x, self.pulls.y);
        let (low, high) = (x.at(-1.0), x.at(1.0));
        canvas.rect((low, y.end), (high, y.start), GREY, BAND_OPACITY);
        for end in [low, high] {
            canvas.line((end, y.start), (end, y.end), ONE);
        }
    }
}

impl ImpactRow {
    /// Sizes of the errors after the fit; none where they are not finite.
    fn errors(&self) -> (f64, f64) {
        let size = |error: f64| if error.is_finite() { error.abs() } else { 0.0 };
        (size(self.pull_errors.0), size(self.pull_errors.1))
    }

    fn draw_pull(&self, canvas: &mut Canvas, panel: &Panel, y: f64) {
        if let Some(value) = &self.unconstrained {
            let (value, size) = text::fit(value, NOTE_SIZE, false, panel.x.length() - 12.0);
            let kind = Type {
                halo: true,
                ..Type::new(size, Anchor::Middle)
            };
            canvas.text((panel.x.at(0.0), y + 0.36 * size), &value, kind);
        } else if self.pull.is_finite() {
            let (down, up) = self.errors();
            let ends = (panel.x.at(self.pull - down), panel.x.at(self.pull + up));
            canvas.line((ends.0, y), (ends.1, y), Stroke::solid(INK, 1.6));
            if panel.x.shows(self.pull) {
                PULL.draw(canvas, (panel.x.at(self.pull), y));
            } else {
                arrow(canvas, panel, y, self.pull > 0.0);
            }
        }
    }

    /// Bars of the impacts. Where both directions move the parameter of interest
    /// to the same side each takes half of the row, so that neither hides the other.
    fn draw_impact(&self, canvas: &mut Canvas, panel: &Panel, y: f64) {
        let half = HALF_BAR * PITCH;
        let lanes = |(down, up): (f64, f64)| match down * up > 0.0 {
            true => [(up, UP, (y - half, y)), (down, DOWN, (y, y + half))],
            false => [
                (up, UP, (y - half, y + half)),
                (down, DOWN, (y - half, y + half)),
            ],
        };
        let zero = panel.x.at(0.0);
        for (value, colour, (top, bottom)) in lanes(self.post_fit) {
            if value.is_finite() {
                canvas.rect((zero, top), (panel.x.at(value), bottom), colour, 1.0);
            }
        }
        for (value, colour, (top, bottom)) in self.pre_fit.into_iter().flat_map(lanes) {
            if value.is_finite() {
                canvas.outline((zero, top), (panel.x.at(value), bottom), open(colour));
            }
        }
    }
}

/// Colour of a move up.
const UP: &str = ORANGE;
/// Colour of a move down.
const DOWN: &str = BLUE;
/// The line at zero.
const ZERO: Stroke<'static> = Stroke::solid(GREY, 1.0);
/// The ends of one standard deviation.
const ONE: Stroke<'static> = Stroke::solid(GREY, 0.9).dashed("4 4");
/// Look of pulls.
const PULL: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 3.4,
};

/// Outline of a bar before the fit.
fn open(colour: &'static str) -> Stroke<'static> {
    Stroke::solid(colour, 1.3)
}

/// An arrow at the side of the panel, for a pull beyond it.
fn arrow(canvas: &mut Canvas, panel: &Panel, y: f64, right: bool) {
    let (tip, base) = match right {
        true => (panel.x.end - 2.0, panel.x.end - 11.0),
        false => (panel.x.start + 2.0, panel.x.start + 11.0),
    };
    canvas.polygon(&[(tip, y), (base, y - 4.5), (base, y + 4.5)], INK, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, pull: f64, post_fit: (f64, f64)) -> ImpactRow {
        ImpactRow {
            name: name.to_owned(),
            pull,
            pull_errors: (0.9, 0.9),
            unconstrained: None,
            post_fit,
            pre_fit: None,
        }
    }

    fn impacts(rows: Vec<ImpactRow>) -> Impacts {
        Impacts {
            title: String::new(),
            parameter: "μ".to_owned(),
            rows,
            first_rank: 0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn axes_follow_what_is_finite() {
        let odd = row("odd", f64::NAN, (f64::INFINITY, f64::NAN));
        let figure = impacts(vec![row("jes", 0.3, (-0.1, 0.2)), odd.clone()]);
        assert_eq!(figure.pull_reach(), PULL_REACH.0);
        assert!((figure.impact_reach() - 0.224).abs() < 1e-12);
        let far = impacts(vec![row("far", 40.0, (0.0, 0.0)), odd]);
        assert_eq!(far.pull_reach(), PULL_REACH.1);
        assert_eq!(far.impact_reach(), 0.0);
        assert!(!far.draw().expect("rows").svg.contains("NaN"));
    }

    /// Upper and lower end of the bars, in order up, down, of a row centred at 50.
    fn bars(post_fit: (f64, f64)) -> Vec<(f64, f64)> {
        let axis = Axis::new(Scale::Linear, -1.0, 1.0, (0.0, 100.0));
        let mut canvas = Canvas::new(100.0, 100.0);
        row("a", 0.0, post_fit).draw_impact(&mut canvas, &Panel { x: axis, y: axis }, 50.0);
        let svg = canvas.finish().svg;
        let paths = svg
            .lines()
            .filter_map(|line| line.strip_prefix("<path d=\"M"));
        let ends = |path: &str| {
            let corners = path
                .split(['Z', 'L'])
                .filter_map(|corner| corner.split(' ').nth(1));
            let heights: Vec<f64> = corners.filter_map(|y| y.parse().ok()).collect();
            (heights[0], heights[2])
        };
        paths.map(ends).collect()
    }

    #[test]
    fn impacts_to_one_side_share_the_row() {
        // The document has hundredths.
        let round = |at: f64| (100.0 * at).round() / 100.0;
        let half = HALF_BAR * PITCH;
        let whole = (round(50.0 - half), round(50.0 + half));
        assert_eq!(bars((-0.1, 0.1)), [whole, whole]);
        assert_eq!(bars((0.2, 0.1)), [(whole.0, 50.0), (50.0, whole.1)]);
        assert_eq!(bars((f64::NAN, 0.1)), [whole]);
    }

    #[test]
    fn no_rows_is_an_error_and_too_many_are_counted() {
        let error = impacts(Vec::new()).draw().expect_err("no rows");
        assert_eq!(
            error.to_string(),
            "impacts on μ: nothing to draw; give at least one nuisance parameter"
        );
        let many = impacts(vec![row("a", 0.0, (-0.1, 0.1)); MAX_ROWS + 7]);
        let svg = many.draw().expect("rows").svg;
        assert!(svg.contains("and 7 more parameters"));
    }

    #[test]
    fn ranks_continue_over_pages() {
        let page = Impacts {
            first_rank: 26,
            ..impacts(vec![row("a", 0.0, (0.0, 0.0)); 2])
        };
        let svg = page.draw().expect("rows").svg;
        assert!(svg.contains(">26<") && svg.contains(">27<"));
    }
}
