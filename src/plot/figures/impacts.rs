//! Pulls and impacts of nuisance parameters, ranked, one row each.
//!
//! Two panels share the rows because they have different scales: on the left
//! the pull in units of the constraint's width, on the right the change of the
//! parameter of interest, in its own unit, when the nuisance parameter moves up
//! or down by its error before (open) and after (filled) the fit. Where no row has an
//! impact the pulls stand alone.

use super::*;

const WIDTH: f64 = 800.0;
const PITCH: f64 = 22.0;
const MAX_ROWS: usize = 30; // most rows; the caller makes several figures of more
/// Left edge of the ranks, and of the names behind them.
const RANKS: f64 = 10.0;
const NAMES: f64 = 40.0;
const MAX_NAME: f64 = 270.0; // widest column of names
const PADDING: f64 = 7.0; // space between the rows and the frame, for the ticks
/// Free space between the two panels, for the outermost numbers of their axes.
const BETWEEN: f64 = 26.0;
const PULL_SHARE: f64 = 0.46; // part of the panels' width that the pulls take
/// Pulls that the axis shows at least and at most; arrows stand for those beyond.
const PULL_REACH: (f64, f64) = (2.2, 5.2);
const HALF_BAR: f64 = 0.34; // half of a bar's height, in rows
/// Colours of a move up and of a move down.
const UP: &str = ORANGE;
const DOWN: &str = BLUE;
/// The band of one standard deviation and its ends.
const BAND: Fill<'_> = Fill(GREY, 0.14);
const ONE: Stroke<'_> = Stroke::solid(GREY, 0.9).dashed("4 4");
/// The shade of every second row.
const STRIPE: Fill<'_> = Fill(INK, 0.04);
const PULL: Marker<'_> = Marker::dot(INK, 3.4);
const PULL_LABEL: &str = "(θ^{fit} − θ_{0}) / Δθ";

pub(crate) struct Impacts {
    pub title: String,
    /// The parameter of interest, for the label "Δμ" and with its unit.
    pub parameter: String,
    /// Rows in order of rank, the largest impact first; at most 30 are drawn.
    pub rows: Vec<ImpactRow>,
    /// Rank of the first row, counted from one.
    pub first_rank: usize,
}

#[derive(Clone)]
pub(crate) struct ImpactRow {
    pub name: String,
    /// (fitted value − central value) / width of the constraint.
    pub pull: f64,
    /// Errors after the fit, downward and upward, in units of the constraint's width.
    pub pull_errors: (f64, f64),
    /// Written in place of the pull of a parameter without constraint, for example "1.03 ± 0.04".
    pub unconstrained: Option<String>,
    /// Change of the parameter of interest for a move down and up by the error after the fit.
    pub post_fit: (f64, f64),
    /// The same for the error before the fit, if there was one.
    pub pre_fit: Option<(f64, f64)>,
}

impl Impacts {
    /// Draws the figure, the first row on top; an error if there is no row.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        let what = format!("impacts on {}", self.parameter);
        check::drawable(!self.rows.is_empty(), &what, "nuisance parameter")?;
        let head = self.head();
        let ends = (RANKS, WIDTH - RIGHT);
        let rows = self.shown();
        let top = head.height(ends);
        let bottom = top + PITCH * rows.len() as f64 + 2.0 * PADDING;
        let (pulls, impacts) = self.panels((bottom, top));
        let mut canvas = Canvas::new(WIDTH, bottom + BOTTOM);
        canvas.record(self.numbers());
        let both: Vec<&Panel> = std::iter::once(&pulls).chain(&impacts).collect();
        draw_ground(&mut canvas, &both, rows.len());
        for (index, row) in rows.iter().enumerate() {
            let y = top + PADDING + (index as f64 + 0.5) * PITCH;
            self.write_name(&mut canvas, index, (pulls.x.start, y));
            pulls.clipped(&mut canvas, |canvas| row.draw_pull(canvas, &pulls.x, y));
            if let Some(impacts) = &impacts {
                impacts.clipped(&mut canvas, |canvas| row.draw_impact(canvas, &impacts.x, y));
            }
        }
        pulls.frame(&mut canvas, Some(PULL_LABEL), None);
        if let Some(impacts) = &impacts {
            let label = format!("Δ{}", self.parameter);
            impacts.frame(&mut canvas, Some(&label), None);
        }
        head.draw_above(&mut canvas, ends);
        Ok(canvas.finish())
    }

    fn numbers(&self) -> PanelNumbers {
        let rows = self.shown().iter();
        let names: Vec<String> = rows.clone().map(|row| row.name.clone()).collect();
        let before = rows
            .clone()
            .map(|row| row.pre_fit.unwrap_or((f64::NAN, f64::NAN)));
        let lists = Lists::new("impacts", "")
            .words("names", &names)
            .list("pull", rows.clone().map(|row| row.pull))
            .list("pull_down", rows.clone().map(|row| row.pull_errors.0))
            .list("pull_up", rows.clone().map(|row| row.pull_errors.1));
        if !self.has_impacts() {
            return PanelNumbers::new(PULL_LABEL, "", [lists]);
        }
        let lists = lists
            .list("post_fit_down", rows.clone().map(|row| row.post_fit.0))
            .list("post_fit_up", rows.map(|row| row.post_fit.1))
            .list("pre_fit_down", before.clone().map(|(down, _)| down))
            .list("pre_fit_up", before.map(|(_, up)| up));
        PanelNumbers::new(&format!("Δ{}", self.parameter), "", [lists])
    }

    fn shown(&self) -> &[ImpactRow] {
        &self.rows[..self.rows.len().min(MAX_ROWS)]
    }

    fn has_impacts(&self) -> bool {
        let has = |row: &ImpactRow| {
            let (down, up) = row.post_fit;
            down.is_finite() || up.is_finite() || row.pre_fit.is_some()
        };
        self.rows.iter().any(has)
    }

    /// The panels of pulls and of impacts, if there are any.
    fn panels(&self, pixels: (f64, f64)) -> (Panel, Option<Panel>) {
        let rows = self.shown().iter();
        let names = rows.map(|row| text::width(&row.name, LEGEND_SIZE, false));
        let left = NAMES + names.fold(60.0, f64::max).min(MAX_NAME) + 12.0;
        let room = WIDTH - RIGHT - left - BETWEEN;
        let middle = left + PULL_SHARE * room;
        let y = Axis::linear(0.0, 1.0).over(pixels);
        let panel = |reach: f64, ends| Panel::new(Axis::linear(-reach, reach).over(ends), y);
        match self.has_impacts() {
            true => {
                let impacts = panel(self.impact_reach(), (middle + BETWEEN, WIDTH - RIGHT));
                (panel(self.pull_reach(), (left, middle)), Some(impacts))
            }
            false => (panel(self.pull_reach(), (left, WIDTH - RIGHT)), None),
        }
    }

    fn pull_reach(&self) -> f64 {
        let ends = self.shown().iter().flat_map(|row| {
            let (down, up) = row.errors();
            [row.pull - down, row.pull + up]
        });
        (1.1 * furthest(ends)).clamp(PULL_REACH.0, PULL_REACH.1)
    }

    fn impact_reach(&self) -> f64 {
        let ends = self.shown().iter().flat_map(|row| {
            let before = row.pre_fit.unwrap_or_default();
            [row.post_fit.0, row.post_fit.1, before.0, before.1]
        });
        1.12 * furthest(ends)
    }

    /// Writes the rank and the name of a row, which end at the frame.
    fn write_name(&self, canvas: &mut Canvas, row: usize, (end, y): (f64, f64)) {
        let kind = Type::end(LEGEND_SIZE);
        let name = &self.rows[row].name;
        canvas.centred((end - 8.0, y), name, kind, end - NAMES - 8.0);
        let kind = Type::end(NOTE_SIZE).coloured(GREY);
        let at = (NAMES - 8.0, y + 0.36 * NOTE_SIZE);
        canvas.text(at, &(self.first_rank + row).to_string(), kind);
    }

    fn head(&self) -> Head<'_> {
        let mut entries = vec![Entry::new("pull, post-fit error", Key::Point(PULL))];
        if self.has_impacts() {
            entries.push(Entry::new("+1σ, post-fit", Key::Area(Fill(UP, 1.0))));
            entries.push(Entry::new("−1σ, post-fit", Key::Area(Fill(DOWN, 1.0))));
        }
        entries.push(Entry::new("pre-fit ±1σ", Key::Area(BAND)));
        if self.shown().iter().any(|row| row.pre_fit.is_some()) {
            entries.push(Entry::new("+1σ, pre-fit", Key::Frame(open(UP))));
            entries.push(Entry::new("−1σ, pre-fit", Key::Frame(open(DOWN))));
        }
        let hidden = self.rows.len() - self.shown().len();
        let note = (hidden > 0).then(|| format!("and {hidden} more parameters"));
        Head::new(&self.title, entries).noted(note.into_iter().collect())
    }
}

/// Shades and lines that all rows share.
fn draw_ground(canvas: &mut Canvas, panels: &[&Panel], rows: usize) {
    for Panel { x, y } in panels {
        for row in (1..rows).step_by(2) {
            let top = y.end + PADDING + row as f64 * PITCH;
            canvas.rect((x.start, top), (x.end, top + PITCH), STRIPE);
        }
        let zero = x.at(0.0);
        canvas.line((zero, y.start), (zero, y.end), Stroke::solid(GREY, 1.0));
    }
    let Panel { x, y } = panels[0];
    let (low, high) = (x.at(-1.0), x.at(1.0));
    canvas.rect((low, y.end), (high, y.start), BAND);
    for end in [low, high] {
        canvas.line((end, y.start), (end, y.end), ONE);
    }
}

impl ImpactRow {
    fn errors(&self) -> (f64, f64) {
        (size(self.pull_errors.0), size(self.pull_errors.1))
    }

    fn draw_pull(&self, canvas: &mut Canvas, x: &Axis, y: f64) {
        if let Some(value) = &self.unconstrained {
            let kind = Type::middle(NOTE_SIZE).with_halo();
            canvas.centred((x.at(0.0), y), value, kind, x.length() - 12.0);
        } else if self.pull.is_finite() {
            let (down, up) = self.errors();
            let ends = (x.at(self.pull - down), x.at(self.pull + up));
            canvas.line((ends.0, y), (ends.1, y), Stroke::solid(INK, 1.6));
            if x.shows(self.pull) {
                return PULL.draw(canvas, (x.at(self.pull), y));
            }
            let (tip, base) = match self.pull > 0.0 {
                true => (x.end - 2.0, x.end - 11.0),
                false => (x.start + 2.0, x.start + 11.0),
            };
            let corners = [(tip, y), (base, y - 4.5), (base, y + 4.5)];
            canvas.polygon(&corners, Fill(INK, 1.0));
        }
    }

    fn draw_impact(&self, canvas: &mut Canvas, x: &Axis, y: f64) {
        for (value, colour, [top, bottom]) in bars(self.post_fit, y) {
            canvas.rect((x.at(0.0), top), (x.at(value), bottom), Fill(colour, 1.0));
        }
        for (value, colour, [top, bottom]) in self.pre_fit.into_iter().flat_map(|p| bars(p, y)) {
            canvas.outline((x.at(0.0), top), (x.at(value), bottom), open(colour));
        }
    }
}

/// Ends, colours, tops and bottoms of the bars of a row about `y`. Where both directions
/// move the parameter of interest to the same side each takes half of the row, so that
/// neither hides the other.
fn bars((down, up): (f64, f64), y: f64) -> impl Iterator<Item = (f64, &'static str, [f64; 2])> {
    let (top, bottom) = (y - HALF_BAR * PITCH, y + HALF_BAR * PITCH);
    let (end, start) = if down * up > 0.0 {
        (y, y)
    } else {
        (bottom, top)
    };
    let bars = [(up, UP, [top, end]), (down, DOWN, [start, bottom])];
    bars.into_iter().filter(|(value, ..)| value.is_finite())
}

/// Largest size of what is finite.
fn furthest(ends: impl Iterator<Item = f64>) -> f64 {
    let sizes = ends.map(f64::abs).filter(|end| end.is_finite());
    sizes.fold(0.0, f64::max)
}

const fn open(colour: &str) -> Stroke<'_> {
    Stroke::solid(colour, 1.3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    fn impacts(pull: f64, post_fit: (f64, f64)) -> Impacts {
        let mut impacts = examples::impacts(&[0.9, 0.9, 0.9, 0.0, 0.0], 0);
        let row = ImpactRow {
            pull,
            post_fit,
            pre_fit: None,
            ..impacts.rows[0].clone()
        };
        let odd = ImpactRow {
            pull: f64::NAN,
            post_fit: (f64::INFINITY, f64::NAN),
            ..row.clone()
        };
        impacts.rows = vec![row, odd];
        impacts
    }

    #[test]
    fn axes_follow_what_is_finite() {
        let figure = impacts(0.3, (-0.1, 0.2));
        assert_eq!(figure.pull_reach(), PULL_REACH.0);
        assert!((figure.impact_reach() - 0.224).abs() < 1e-12);
        let far = impacts(40.0, (0.0, 0.0));
        assert_eq!(far.pull_reach(), PULL_REACH.1);
        assert_eq!(far.impact_reach(), 0.0);
        assert!(!far.draw().expect("rows").svg.contains("NaN"));
    }

    #[test]
    fn pulls_without_impacts_have_all_the_room() {
        let both = impacts(0.3, (-0.1, 0.2));
        let alone = impacts(0.3, (f64::NAN, f64::NAN));
        let width = |figure: &Impacts| {
            let (pulls, impacts) = figure.panels((0.0, 100.0));
            (pulls.x.length(), impacts.is_some())
        };
        let ((part, has), (whole, has_none)) = (width(&both), width(&alone));
        assert!(whole > 1.9 * part && has && !has_none, "{whole} {part}");
        let svg = alone.draw().expect("rows").svg;
        assert!(
            svg.contains("pre-fit ±1σ") && !svg.contains("post-fit</"),
            "{svg}"
        );
    }

    #[test]
    fn impacts_to_one_side_share_the_row() {
        let ends = |impact| bars(impact, 50.0).map(|bar| bar.2).collect::<Vec<_>>();
        let half = HALF_BAR * PITCH;
        let (top, bottom) = (50.0 - half, 50.0 + half);
        assert_eq!(ends((-0.1, 0.1)), [[top, bottom]; 2]);
        assert_eq!(ends((0.2, 0.1)), [[top, 50.0], [50.0, bottom]]);
        assert_eq!(ends((f64::NAN, 0.1)), [[top, bottom]]);
    }

    #[test]
    fn rows_too_many_are_counted_and_ranks_continue_over_pages() {
        let mut page = examples::impacts(&[0.0; 5], 2);
        page.first_rank = 26;
        let svg = page.draw().expect("rows").svg;
        assert!(svg.contains("and 30 more parameters"));
        assert!(svg.contains(">26<") && svg.contains(">55<"));
    }
}
