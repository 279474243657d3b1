//! What the height of a histogram is: events, in bins of their own widths or per unit of the
//! variable.

/// Relative difference of widths that are equal but for rounding.
const ROUNDING: f64 = 1e-6;

/// Heights of histograms of one variable.
pub(crate) struct Heights {
    widths: Vec<f64>,
    is_density: bool,
}

impl Heights {
    pub(crate) fn new(edges: &[f64], is_density: bool) -> Self {
        Self {
            widths: edges.windows(2).map(|bin| bin[1] - bin[0]).collect(),
            is_density,
        }
    }

    /// The label of their axis, where that of the variable ends in its unit: "m [GeV]".
    pub(crate) fn label(&self, variable: &str) -> String {
        let unit = variable
            .strip_suffix(']')
            .and_then(|text| text.rsplit_once('['));
        let (first, rest) = match self.widths.split_first() {
            Some((first, rest)) => (*first, rest),
            None => (0.0, &[][..]),
        };
        let is_even = rest
            .iter()
            .all(|width| (width / first - 1.0).abs() < ROUNDING);
        match (self.is_density, unit) {
            (true, Some((_, unit))) => format!("Events / {unit}"),
            (true, None) => "Events / unit".to_owned(),
            (false, _) if is_even => "Events".to_owned(),
            (false, _) => "Events / bin".to_owned(),
        }
    }

    /// The heights of contents or of errors.
    pub(crate) fn of(&self, mut contents: Vec<f64>) -> Vec<f64> {
        if self.is_density {
            let bins = contents.iter_mut().zip(&self.widths);
            bins.for_each(|(content, width)| *content /= width);
        }
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_events_events_a_bin_or_events_a_unit() {
        let (even, uneven) = (
            &[0.0, 0.1, 0.2, 0.30000000000000004][..],
            &[0.0, 1.0, 5.0][..],
        );
        for (edges, is_density, variable, expected) in [
            (even, false, "m [GeV]", "Events"),
            (uneven, false, "m [GeV]", "Events / bin"),
            (uneven, true, "m_{HH} [GeV]", "Events / GeV"),
            (even, true, "dR", "Events / unit"),
        ] {
            assert_eq!(Heights::new(edges, is_density).label(variable), expected);
        }
        let contents = || vec![3.0, 8.0];
        assert_eq!(Heights::new(uneven, false).of(contents()), contents());
        assert_eq!(Heights::new(uneven, true).of(contents()), [3.0, 2.0]);
    }
}
