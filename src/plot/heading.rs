//! The words at the top of a figure: brand and title as it is drawn or, put on the finished
//! figure, whose it is: experiment and status at the left, luminosity and energy at the right
//! above the axes, as the collaborations have it.

use super::Figure;
use super::canvas::{Canvas, Fill, Type, opening};
use super::render::{Heading, Place};
use super::style::{BRAND, BRAND_SIZE, INSET, LEGEND_SIZE};
use super::text;

pub(super) const HEADER: f64 = 40.0; // brand and title, where they stand above a frame
pub(super) const LINE_EM: f64 = 1.5; // height of a line of a heading or a legend, in em
const STRIP: f64 = 24.0; // height that an experiment's line adds to a sheet with a header
const STATUS_SIZE: f64 = 15.0;
const LIFT: f64 = 7.0; // base line of an experiment's line above a frame
/// Least space between its words on the left and on the right.
const BETWEEN: f64 = 14.0;
const RIGHT_SHARE: f64 = 0.5; // most of its length that the words on the right take

/// Whose a figure is. Where all is empty, it is as it was drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentLabel {
    /// In bold, for example "CMS"; "Sideband" if empty.
    pub experiment: String,
    /// In italics beside it, for example "Private Work".
    pub status: String,
    /// At the right, for example "138 fb^{−1} (13 TeV)".
    pub conditions: String,
}

impl Figure {
    /// The same figure with other words in the place of "Sideband".
    #[must_use]
    pub fn labelled(&self, label: &ExperimentLabel) -> Self {
        let heading = self.heading.as_ref();
        let heading = heading.filter(|_| *label != ExperimentLabel::default());
        let svg = heading.and_then(|heading| heading.exchanged(&self.svg, label));
        let mut figure = self.clone();
        if let Some(svg) = svg {
            (figure.svg, figure.heading) = (svg, None);
        }
        figure
    }
}

impl Heading {
    /// The document with a label above the axes and the rest of the heading without the brand.
    /// None if the document is another one.
    fn exchanged(&self, svg: &str, label: &ExperimentLabel) -> Option<String> {
        let mut canvas = Canvas::new(self.sheet.0, self.sheet.1);
        let above = match self.place {
            Place::Above { at: (x, y), end } => {
                canvas.rect((0.0, -STRIP), (self.sheet.0, 0.0), Fill("#ffffff", 1.0));
                label.draw(&mut canvas, (x, y - STRIP), end);
                for (title, size) in &self.lines {
                    canvas.fitted((x, y), title, Type::start(*size), end - x);
                }
                STRIP
            }
            Place::Inside {
                corner: (x, y),
                end,
                room,
                clear,
            } => {
                label.draw(&mut canvas, (x + clear, y - LIFT), end);
                let first = self.lines.iter().find(|(line, _)| !line.is_empty());
                let first = first.map_or(0.0, |(_, size)| (LINE_EM - 0.8) * size);
                let at = (x + INSET, y + INSET - first);
                write_lines(&mut canvas, at, &self.lines, room);
                0.0
            }
        };
        let before = svg.get(..self.bytes.start)?;
        let before = before.strip_prefix(&opening(self.sheet, 0.0))?;
        let after = svg.get(self.bytes.end..)?;
        Some(opening(self.sheet, above) + before + &canvas.into_part() + after)
    }
}

impl ExperimentLabel {
    /// Draws it from the base line's left end on.
    fn draw(&self, canvas: &mut Canvas, (mut x, y): (f64, f64), end: f64) {
        let kind = Type::end(LEGEND_SIZE);
        let room = RIGHT_SHARE * (end - x);
        let end = match canvas.fitted((end, y), &self.conditions, kind, room) {
            0.0 => end,
            taken => end - taken - BETWEEN,
        };
        let experiment = match self.experiment.as_str() {
            "" => BRAND,
            own => own,
        };
        let kind = Type::start(BRAND_SIZE).bold();
        x += canvas.fitted((x, y), experiment, kind, end - x) + 0.35 * BRAND_SIZE;
        let kind = Type::start(STATUS_SIZE).italic();
        canvas.fitted((x, y), &self.status, kind, (end - x).max(0.0));
    }
}

/// Brand and title on a base line.
pub(super) fn heading(canvas: &mut Canvas, at: (f64, f64), title: &str, end: f64) {
    let lines = vec![(title.to_owned(), LEGEND_SIZE)];
    canvas.heading(Place::Above { at, end }, lines, |canvas| {
        canvas.text(at, BRAND, Type::start(BRAND_SIZE).bold());
        let x = at.0 + text::width(BRAND, BRAND_SIZE, true) + 10.0;
        canvas.fitted((x, at.1), title, Type::start(LEGEND_SIZE), end - x);
    });
}

/// Brand and lines below each other, from the corner of a panel with its frame's right end.
pub(super) fn inside(
    canvas: &mut Canvas,
    (corner, end): ((f64, f64), f64),
    lines: Vec<(String, f64)>,
    (room, clear): (f64, f64),
) {
    let place = Place::Inside {
        corner,
        end,
        room,
        clear,
    };
    let at = (corner.0 + INSET, corner.1 + INSET + 0.8 * BRAND_SIZE);
    canvas.heading(place, lines.clone(), |canvas| {
        canvas.text(at, BRAND, Type::start(BRAND_SIZE).bold());
        write_lines(canvas, at, &lines, room);
    });
}

/// Lines below a base line.
fn write_lines(canvas: &mut Canvas, (x, mut y): (f64, f64), lines: &[(String, f64)], room: f64) {
    for (line, size) in lines.iter().filter(|(line, _)| !line.is_empty()) {
        y += LINE_EM * size;
        canvas.fitted((x, y), line, Type::start(*size), room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::PlotError;
    use crate::plot::examples::{self, FIGURES};
    use resvg::usvg::roxmltree;

    fn label() -> ExperimentLabel {
        ExperimentLabel {
            experiment: "CMS".to_owned(),
            status: "Private Work <".to_owned(),
            conditions: "138 fb^{−1} (13 TeV)".to_owned(),
        }
    }

    /// Base lines and x of the texts that contain a word.
    fn places(svg: &str, word: &str) -> Vec<(f64, f64)> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let texts = document
            .descendants()
            .filter(|node| node.has_tag_name("text"));
        let texts = texts.filter(|node| node.children().any(|c| c.text() == Some(word)));
        let place = |text: roxmltree::Node<'_, '_>| {
            let [x, y] = ["x", "y"].map(|name| text.attribute(name).unwrap().parse().unwrap());
            (x, y)
        };
        texts.map(place).collect()
    }

    #[test]
    fn every_figure_takes_the_words_of_an_experiment() {
        let mut drawn = 0;
        for (name, lengths, variants, _, draw) in FIGURES {
            let values: Vec<f64> = (0..lengths[lengths.len() - 1])
                .map(|i| 0.2 + ((i * 7) % 11) as f64 / 8.0)
                .collect();
            for figure in (0..variants).filter_map(|variant| draw(&values, variant).ok()) {
                assert_eq!(figure.labelled(&ExperimentLabel::default()), figure);
                assert_eq!(places(&figure.svg, BRAND).len(), 1, "{name}");
                let svg = figure.labelled(&label()).svg;
                assert!(places(&svg, BRAND).is_empty(), "{name}");
                let [left] = places(&svg, "CMS")[..] else {
                    panic!("{name}: {svg}")
                };
                let [beside] = places(&svg, "Private Work <")[..] else {
                    panic!("{name}: {svg}")
                };
                let [right] = places(&svg, "138 fb")[..] else {
                    panic!("{name}: {svg}")
                };
                assert!(left.0 < beside.0 && beside.0 < right.0, "{name}");
                assert!(left.1 == beside.1 && left.1 == right.1, "{name}");
                drawn += 1;
            }
        }
        assert!(drawn > 30, "{drawn}");
    }

    #[test]
    fn a_title_in_a_panel_moves_up_and_one_above_it_to_the_left() {
        let title = "a title";
        let mut inside = examples::comparison(&[1.0; 13], 0);
        inside.title_left = title.to_owned();
        let mut above = examples::losses(&[1.0; 12], 1);
        above.title = title.to_owned();
        let moved = |figure: Result<Figure, PlotError>| {
            let figure = figure.unwrap();
            let [before, after] = [figure.clone(), figure.labelled(&label())]
                .map(|figure| places(&figure.svg, title)[0]);
            (after.0 - before.0, after.1 - before.1)
        };
        let (x, y) = moved(inside.draw());
        assert!(x == 0.0 && y < -10.0, "{x} {y}");
        let (x, y) = moved(above.draw());
        assert!(x < -50.0 && y == 0.0, "{x} {y}");
    }

    #[test]
    fn a_heading_of_another_document_changes_nothing() {
        let mut figure = examples::matrix(&[1.0; 4]).draw().unwrap();
        let svg = std::mem::replace(&mut figure.svg, "<svg>é</svg>".to_owned());
        assert_eq!(figure.labelled(&label()).svg, "<svg>é</svg>");
        figure.svg = svg.replace("<svg", "<svg ");
        assert_eq!(figure.labelled(&label()).svg, figure.svg);
    }
}
