//! Text: the markup of labels, and how wide they come out.
//!
//! Widths come from the embedded DejaVu Sans, so legends and margins fit
//! without asking a renderer.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

pub(super) const SCRIPT_SCALE: f64 = 0.72; // size of lowered and raised text, relative to the line
pub(super) const SUBSCRIPT_DROP: f64 = 0.25; // fall of a subscript, in em of the line
pub(super) const SUPERSCRIPT_RISE: f64 = 0.43; // rise of a superscript, in em of the line
/// Smallest size a label shrinks to before it is cut, relative to its own.
const SHRINK_LIMIT: f64 = 0.72;
const FALLBACK_ADVANCE: f64 = 0.64; // width of a character where the font gives no answer, in em

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Base,
    Sub,
    Sup,
}

pub(crate) struct Run {
    /// The characters, not escaped.
    pub(crate) text: String,
    pub(crate) level: Level,
}

/// Splits a label at `_{...}` and `^{...}`; anything else is taken as it stands.
pub(crate) fn parse(label: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut push = |text: &str, level: Level| {
        if text.is_empty() {
            return;
        }
        match runs.last_mut() {
            Some(last) if last.level == level => last.text.push_str(text),
            _ => runs.push(Run {
                text: text.to_owned(),
                level,
            }),
        }
    };
    let mut rest = label;
    while let Some((at, level)) = next_script(rest) {
        let body = &rest[at + 2..];
        let Some(close) = body.find('}') else { break };
        push(&rest[..at], Level::Base);
        push(&body[..close], level);
        rest = &body[close + 1..];
    }
    push(rest, Level::Base);
    runs
}

fn next_script(text: &str) -> Option<(usize, Level)> {
    let sub = text.find("_{").map(|at| (at, Level::Sub));
    let sup = text.find("^{").map(|at| (at, Level::Sup));
    [sub, sup].into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// Width of a label in pixels at `size` pixels an em.
pub(super) fn width(label: &str, size: f64, bold: bool) -> f64 {
    let runs = parse(label);
    let kerns = stacking(&runs, size, bold);
    runs.iter()
        .zip(kerns)
        .map(|(run, kern)| run_width(run, size, bold) + kern)
        .sum()
}

/// Horizontal shift before each run, in pixels. A superscript right after a
/// subscript stands above it, so it starts where the subscript started; what
/// follows starts after the wider of the two.
pub(super) fn stacking(runs: &[Run], size: f64, bold: bool) -> Vec<f64> {
    let mut shifts = vec![0.0; runs.len()];
    for (index, pair) in runs.windows(2).enumerate() {
        if pair[0].level == Level::Sub && pair[1].level == Level::Sup {
            let below = run_width(&pair[0], size, bold);
            shifts[index + 1] -= below;
            if let Some(next) = shifts.get_mut(index + 2) {
                *next += (below - run_width(&pair[1], size, bold)).max(0.0);
            }
        }
    }
    shifts
}

fn run_width(run: &Run, size: f64, bold: bool) -> f64 {
    let scale = match run.level {
        Level::Base => 1.0,
        Level::Sub | Level::Sup => SCRIPT_SCALE,
    };
    advance_em(&run.text, bold) * size * scale
}

fn advance_em(text: &str, bold: bool) -> f64 {
    static FONTS: LazyLock<[Option<FontRef<'static>>; 2]> = LazyLock::new(|| {
        [dejavu::sans::regular(), dejavu::sans::bold()].map(|bytes| FontRef::new(bytes).ok())
    });
    // a font that does not parse leaves the fallback width
    let Some(font) = &FONTS[usize::from(bold)] else {
        return text.chars().count() as f64 * FALLBACK_ADVANCE;
    };
    let glyphs = font.charmap();
    let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
    let units = f32::from(
        font.metrics(Size::unscaled(), LocationRef::default())
            .units_per_em,
    );
    text.chars()
        .map(|c| glyphs.map(c).unwrap_or_default())
        .map(|glyph| f64::from(metrics.advance_width(glyph).unwrap_or_default() / units))
        .sum()
}

/// Makes a label fit `room` pixels: first smaller, then cut with an ellipsis.
pub(super) fn fit(label: &str, size: f64, bold: bool, room: f64) -> (String, f64) {
    let natural = width(label, size, bold);
    if natural <= room {
        return (label.to_owned(), size);
    }
    let shrunk = size * (room / natural).max(SHRINK_LIMIT);
    if width(label, shrunk, bold) <= room + 0.5 {
        return (label.to_owned(), shrunk);
    }
    (cut(label, shrunk, bold, room), shrunk)
}

/// The longest beginning of a label that fits with an ellipsis after it.
fn cut(label: &str, size: f64, bold: bool, room: f64) -> String {
    let mut kept = String::new();
    let mut left = room - width("…", size, bold);
    for run in parse(label) {
        let mut part = String::new();
        let mut full = true;
        for letter in run.text.chars() {
            let (text, level) = (letter.to_string(), run.level);
            let step = run_width(&Run { text, level }, size, bold);
            if step > left {
                full = false;
                break;
            }
            left -= step;
            part.push(letter);
        }
        match run.level {
            Level::Base => kept.push_str(&part),
            Level::Sub => kept.push_str(&format!("_{{{part}}}")),
            Level::Sup => kept.push_str(&format!("^{{{part}}}")),
        }
        if !full {
            break;
        }
    }
    kept + "…"
}

/// Escapes text for XML and drops characters XML does not know.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_splits_at_scripts_only() {
        let split = |label| {
            let runs = parse(label).into_iter();
            runs.map(|run| format!("{:?} {:?} ", run.level, run.text))
                .collect::<String>()
        };
        let found = split("p_{T}^{lead} [GeV]");
        assert_eq!(found, r#"Base "p" Sub "T" Sup "lead" Base " [GeV]" "#);
        assert_eq!(split("m_jj x^2 a_{open"), r#"Base "m_jj x^2 a_{open" "#);
        assert!(parse("").is_empty());
    }

    #[test]
    fn widths_follow_the_font() {
        // DejaVu Sans 2.37, hmtx: "0" advances 1303 of 2048 units.
        let zero = 1303.0 / 2048.0 * 100.0;
        let found = width("0", 100.0, false);
        assert!((found - zero).abs() < 0.5, "{found}");
        assert!(width("Sideband", 20.0, true) > width("Sideband", 20.0, false));
        assert!(width("m_{HH}", 20.0, false) < width("mHH", 20.0, false));
    }

    #[test]
    fn a_superscript_stands_above_its_subscript() {
        let plain = width("p_{T}", 20.0, false);
        let [both, wide] = ["p_{T}^{j} x", "p_{T} x"].map(|text| width(text, 20.0, false));
        assert!((both - wide).abs() < 0.1, "{both} {wide}");
        assert!(width("p_{T}^{lead}", 20.0, false) > plain);
    }

    #[test]
    fn long_labels_shrink_then_lose_their_end() {
        let (same, size) = fit("short", 10.0, false, 500.0);
        assert_eq!((same.as_str(), size), ("short", 10.0));
        let long = "leading jet p_{T} ".repeat(20);
        let (cut, size) = fit(&long, 10.0, false, 200.0);
        assert!(cut.ends_with('…') && size < 10.0);
        assert!(width(&cut, size, false) <= 201.0);
    }

    #[test]
    fn escaped_text_is_valid_xml() {
        assert_eq!(escape("a<b & \"c\"\u{0}"), "a&lt;b &amp; &quot;c&quot; ");
    }
}
