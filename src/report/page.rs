//! One self-contained HTML page: verdict, facts, tables and figures.
//!
//! Text takes the labels' markup, `p_{T}` and `10^{3}`. Nothing is loaded from anywhere: the
//! style is inline and the figures are inlined SVG, so the file can be mailed, archived and
//! printed; a script, without which nothing is missing, copies tables. Links lead to the figures'
//! files in the run directory. Identifiers inside figures are prefixed, since all figures share the page's
//! namespace.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use crate::plot::text::{self, Level};
use crate::plot::{ExperimentLabel, Figure};
use crate::results::VerdictState;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Page {
    /// Heading, and title of the window.
    pub title: String,
    /// Line below the heading.
    pub subtitle: String,
    /// What to conclude, in plain words; shown first.
    pub verdict: Vec<PageVerdict>,
    /// Names and values: version, data, date, seeds.
    pub facts: Vec<(String, String)>,
    pub sections: Vec<Section>,
    /// Lines at the end.
    pub footer: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PageVerdict {
    pub status: Status,
    pub text: String,
}

/// How a conclusion is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Good,
    /// Look at this before use.
    Warning,
    /// It was tested and is not as it should be.
    Open,
    /// There is no result, or none to be used.
    Bad,
    /// Nothing says whether it is as it should be.
    Untested,
    /// For information.
    Info,
}

/// A part of the page with its own heading.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Section {
    /// Heading.
    pub title: String,
    /// Name for links; derived from the title if empty.
    #[serde(default)]
    pub anchor: String,
    /// Paragraphs.
    #[serde(default)]
    pub text: Vec<String>,
    /// After the text.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// After the tables.
    #[serde(default)]
    pub figures: Vec<PageFigure>,
}

/// A table. Columns of numbers are recognised and aligned to the right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Table {
    /// Line above the table.
    pub caption: String,
    /// Column headings.
    pub header: Vec<String>,
    /// Rows of cells; short rows are filled up with empty cells.
    pub rows: Vec<Vec<String>>,
}

/// A figure on the page.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct PageFigure {
    /// Short name, also the figure's anchor.
    pub name: String,
    /// What it is named after, region and variable, say, until it has a name.
    #[serde(skip)]
    pub parts: Vec<String>,
    /// Its document is inlined as it is: only pass what this crate drew.
    #[serde(flatten)]
    pub drawn: Figure,
    /// Text below.
    pub caption: String,
}

impl Page {
    /// The page with an experiment's label on its figures.
    pub(crate) fn labelled(mut self, label: &ExperimentLabel) -> Self {
        let sections = self.sections.iter_mut();
        for figure in sections.flat_map(|section| &mut section.figures) {
            figure.drawn = figure.drawn.labelled(label);
        }
        self
    }
}

impl PageVerdict {
    pub(crate) fn new(status: Status, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }
}

impl Section {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// With one more paragraph.
    pub(crate) fn text(mut self, paragraph: impl Into<String>) -> Self {
        self.text.push(paragraph.into());
        self
    }

    /// With one more table.
    pub(crate) fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    pub(crate) fn figures(self, figures: Vec<PageFigure>) -> Self {
        Self { figures, ..self }
    }
}

impl Table {
    /// The headings stand in one text, " | " between two.
    pub(crate) fn new(
        caption: &str,
        header: &str,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self {
            caption: caption.to_owned(),
            header: header.split(" | ").map(str::to_owned).collect(),
            rows: rows.into_iter().collect(),
        }
    }
}

/// Writes the page as one HTML document.
pub(crate) fn render(page: &Page) -> String {
    let mut names = Names::default();
    let mut anchor = |section: &Section| match section.anchor.as_str() {
        "" => names.unique(&section.title),
        anchor => names.unique(anchor),
    };
    let anchors: Vec<String> = page.sections.iter().map(&mut anchor).collect();
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content="Sideband";
                title { (plain(&page.title)) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (rich(&page.title)) }
                    @if !page.subtitle.is_empty() { p.subtitle { (rich(&page.subtitle)) } }
                }
                (verdict(&page.verdict))
                (facts(&page.facts))
                (contents(&page.sections, &anchors))
                main {
                    @for (section, anchor) in page.sections.iter().zip(&anchors) {
                        (body(section, anchor, &mut names))
                    }
                }
                @if !page.footer.is_empty() {
                    footer { @for line in &page.footer { p { (rich(line)) } } }
                }
                @if page.sections.iter().any(|section| !section.tables.is_empty()) {
                    script { (PreEscaped(include_str!("page.js"))) }
                }
            }
        }
    };
    document.into_string()
}

fn verdict(verdict: &[PageVerdict]) -> Markup {
    html! {
        @if !verdict.is_empty() {
            section.verdict aria-label="Verdict" {
                @for line in verdict {
                    p class=(line.status.class()) {
                        span.status { (line.status.word()) }
                        span { (rich(&line.text)) }
                    }
                }
            }
        }
    }
}

fn facts(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.facts {
                @for (name, value) in facts {
                    div { dt { (rich(name)) } dd { (rich(value)) } }
                }
            }
        }
    }
}

fn contents(sections: &[Section], anchors: &[String]) -> Markup {
    html! {
        @if sections.len() > 1 {
            nav aria-label="Contents" {
                @for (section, anchor) in sections.iter().zip(anchors) {
                    a href={ "#" (anchor) } { (rich(&section.title)) }
                }
            }
        }
    }
}

fn body(section: &Section, anchor: &str, names: &mut Names) -> Markup {
    html! {
        section id=(anchor) {
            h2 { (rich(&section.title)) }
            @for paragraph in &section.text { p { (rich(paragraph)) } }
            @for part in &section.tables { (table(part)) }
            @if !section.figures.is_empty() {
                div.figures.single[section.figures.len() == 1] {
                    @for part in &section.figures { (figure(part, names)) }
                }
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    let lengths = table.rows.iter().map(Vec::len).chain([table.header.len()]);
    let columns = lengths.max().unwrap_or(0);
    let numeric: Vec<bool> = (0..columns).map(|n| table.is_numeric(n)).collect();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    html! {
        div.table {
            table {
                @if !table.caption.is_empty() { caption { (rich(&table.caption)) } }
                @if !table.header.is_empty() {
                    thead { tr {
                        @for (column, numeric) in numeric.iter().enumerate() {
                            th.number[*numeric] scope="col" { (rich(&cell(&table.header, column))) }
                        }
                    } }
                }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (column, numeric) in numeric.iter().enumerate() {
                                td.number[*numeric] { (rich(&cell(row, column))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn figure(figure: &PageFigure, names: &mut Names) -> Markup {
    let anchor = names.unique(&format!("figure-{}", figure.name));
    let label = match figure.caption.as_str() {
        "" => &figure.name,
        caption => caption,
    };
    html! {
        figure id=(anchor) {
            div.drawing role="img" aria-label=(plain(label)) {
                (PreEscaped(with_own_identifiers(&figure.drawn.svg, &anchor)))
            }
            figcaption { (rich(&figure.caption)) (links(figure)) }
        }
    }
}

/// Links to the figure's files beside the page.
fn links(figure: &PageFigure) -> Markup {
    let endings = ["svg", "png", "pdf", "json"];
    let has_numbers = figure.drawn.has_numbers();
    let name = address(&figure.name);
    html! {
        span.files {
            @for ending in endings.into_iter().filter(|ending| has_numbers || *ending != "json") {
                " " a href={ "plots/" (name) "." (ending) } { (ending) }
            }
        }
    }
}

/// A name as a part of an address.
fn address(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let part = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(part).collect()
}

/// Text with the markup of figure labels: `p_{T}` lowers, `10^{3}` raises.
fn rich(label: &str) -> Markup {
    html! {
        @for run in text::parse(label) {
            @match run.level {
                Level::Base => (run.text),
                Level::Sub => sub { (run.text) },
                Level::Sup => sup { (run.text) },
            }
        }
    }
}

/// The same text where nothing can be lowered or raised: in an attribute, on a terminal.
pub(crate) fn plain(label: &str) -> String {
    text::parse(label).into_iter().map(|run| run.text).collect()
}

impl Table {
    /// Whether every filled cell of a column reads as a number, with at least one.
    fn is_numeric(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let mut cells = cells.map(|cell| cell.trim());
        let blank = |cell: &str| matches!(cell, "" | "-" | "–" | "—" | "n/a");
        cells.clone().any(|cell| !blank(cell)) && cells.all(|cell| blank(cell) || is_number(cell))
    }
}

/// A number, with or without sign, error, exponent or unit: "−1.2 ± 0.3", "31 %", "1.4 GB".
fn is_number(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['+', '-', '−', '±', '<', '>', '≤', '≥', '~', '≈', ' ']);
    let named = matches!(cell, "NaN" | "nan" | "inf" | "-inf" | "∞");
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let letters = digits.chars().filter(|c| c.is_alphabetic()).count();
    named || (begins && letters <= 4)
}

impl Status {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning | Self::Untested => "warning",
            Self::Open | Self::Bad => "bad",
            Self::Info => "info",
        }
    }

    /// The status in a word, so that it does not hang on the colour; the same on the page and
    /// on the terminal, and that of a verdict where it is one.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => VerdictState::Closes.words(),
            Self::Open => VerdictState::Open.words(),
            Self::Untested => VerdictState::Untested.words(),
            Self::Warning => "check",
            Self::Bad => "failed",
            Self::Info => "note",
        }
    }
}

/// Anchors handed out so far.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// An anchor made from `text` that no other part of the page has.
    fn unique(&mut self, text: &str) -> String {
        let text = text.to_ascii_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let slug = match words.is_empty() {
            true => "part".to_owned(),
            false => words.join("-"),
        };
        let mut name = slug.clone();
        let mut count = 2;
        while self.0.contains(&name) {
            name = format!("{slug}-{count}");
            count += 1;
        }
        self.0.push(name.clone());
        name
    }
}

/// Prefixes every identifier of an SVG document and every reference to one.
///
/// Quotes cannot appear in escaped text, so only attributes are touched.
fn with_own_identifiers(svg: &str, prefix: &str) -> String {
    let body = svg.find("<svg").map_or(svg, |start| &svg[start..]);
    body.replace(" id=\"", &format!(" id=\"{prefix}-"))
        .replace("=\"url(#", &format!("=\"url(#{prefix}-"))
        .replace("href=\"#", &format!("href=\"#{prefix}-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str) -> PageFigure {
        let svg = "<?xml version=\"1.0\"?><svg><clipPath id=\"clip1\"/>\
                   <g clip-path=\"url(#clip1)\"/></svg>";
        let mut figure = PageFigure {
            name: name.to_owned(),
            caption: "a < b".to_owned(),
            ..PageFigure::default()
        };
        figure.drawn.svg = svg.to_owned();
        figure
    }

    fn page() -> Page {
        let figures = vec![figure("m_HH"), figure("m HH")];
        let section = |title: &str| Section::new(title).figures(figures.clone());
        Page {
            title: "<script>alert(1)</script>".to_owned(),
            verdict: vec![PageVerdict::new(Status::Bad, "5 > 3 & so on")],
            sections: vec![section("Closure"), section("Closure")],
            ..Page::default()
        }
    }

    #[test]
    fn text_is_escaped() {
        let html = render(&page());
        assert!(!html.contains("<script>"));
        assert!(html.contains("5 &gt; 3 &amp; so on") && html.contains("a &lt; b"));
    }

    #[test]
    fn identifiers_are_unique_and_references_follow() {
        let html = render(&page());
        let ids = html.split(" id=\"").skip(1);
        let mut ids: Vec<&str> = ids.filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), count), (10, 10));
        let references = html.split("url(#").skip(1);
        for reference in references.filter_map(|rest| rest.split(')').next()) {
            assert!(ids.contains(&reference), "{reference}");
        }
        assert!(!html.contains("<?xml"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = render(&page());
        for external in ["http://", "https://", "src=", "@import", "<link"] {
            assert!(!html.contains(external), "{external}");
        }
    }

    #[test]
    fn figures_link_to_their_files_and_tables_can_be_copied() {
        let mut page = page();
        let figure = &mut page.sections[0].figures[0];
        figure.name = "impacts_μ #1".to_owned();
        let html = render(&page);
        for ending in ["svg", "png", "pdf"] {
            let link = format!("<a href=\"plots/impacts_%CE%BC%20%231.{ending}\">{ending}</a>");
            assert!(html.contains(&link), "{link}");
        }
        assert!(!html.contains(".json\"") && !html.contains("<script"));
        page.sections[0].tables.push(Table::new("", "a", []));
        page.sections[0].figures[0].drawn.numbers = "{}".to_owned();
        let html = render(&page);
        assert_eq!(html.matches(".json\"").count(), 1);
        assert_eq!(html.matches("<script").count(), 1);
    }

    #[test]
    fn markup_becomes_sub_and_sup() {
        let markup = rich("p_{T} < 10^{3}").into_string();
        assert_eq!(markup, "p<sub>T</sub> &lt; 10<sup>3</sup>");
        assert_eq!(plain("p_{T}"), "pT");
    }

    #[test]
    fn columns_of_numbers_are_recognised() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let table = Table {
            rows: vec![
                row(["m_HH", "1.2 ± 0.3", "17", "2b SR"]),
                row(["p_T", "−4e-3", "–", "x"]),
            ],
            ..Table::default()
        };
        let numeric: Vec<bool> = (0..5).map(|column| table.is_numeric(column)).collect();
        assert_eq!(numeric, [false, true, true, false, false]);
    }
}
