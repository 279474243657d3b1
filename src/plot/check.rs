//! What figures ask of their input: edges that rise, lists of one length, something to draw.

use super::PlotError;

/// Checks that edges rise and are finite.
pub(super) fn rising(what: &str, edges: &[f64]) -> Result<(), PlotError> {
    let found = if edges.len() < 2 {
        format!("{} edges", edges.len())
    } else if let Some(bad) = edges.iter().position(|edge| !edge.is_finite()) {
        format!("edge {bad} is {}", edges[bad])
    } else if let Some(bad) = edges.windows(2).position(|pair| pair[1] <= pair[0]) {
        let (low, high) = (edges[bad], edges[bad + 1]);
        format!("edge {} ({high}) is not above edge {bad} ({low})", bad + 1)
    } else {
        return Ok(());
    };
    Err(PlotError::Edges {
        what: what.to_owned(),
        found,
    })
}

/// [`rising`] for the edges of bins in what a label names.
pub(super) fn edges(label: &str, edges: &[f64]) -> Result<(), PlotError> {
    rising(&format!("edges of {label}"), edges)
}

pub(super) fn length(what: &str, found: usize, expected: usize) -> Result<(), PlotError> {
    if found == expected {
        return Ok(());
    }
    Err(PlotError::Length {
        what: what.to_owned(),
        found,
        expected,
    })
}

/// Checks the lengths of lists, which `name` makes known.
pub(super) fn lengths<'a, T>(
    lists: impl IntoIterator<Item = (T, &'a Vec<f64>)>,
    name: impl Fn(T) -> String,
    expected: usize,
) -> Result<(), PlotError> {
    let mut lists = lists.into_iter();
    lists.try_for_each(|(what, list)| length(&name(what), list.len(), expected))
}

/// Checks that there are not more than can be told apart.
pub(super) fn at_most(what: &str, found: usize, most: usize) -> Result<(), PlotError> {
    length(&format!("{what}, at most {most}"), found, found.min(most))
}

/// Checks that there are `nx` columns of `ny` bins.
pub(super) fn columns<T>(
    name: &str,
    columns: &[Vec<T>],
    (nx, ny): (usize, usize),
) -> Result<(), PlotError> {
    length(&format!("columns of {name}"), columns.len(), nx)?;
    let mut columns = columns.iter().enumerate();
    columns.try_for_each(|(i, c)| length(&format!("column {i} of {name}"), c.len(), ny))
}

/// Checks that there is something to draw.
pub(super) fn drawable(is: bool, what: &str, expected: &str) -> Result<(), PlotError> {
    if is {
        return Ok(());
    }
    Err(PlotError::Empty {
        what: what.to_owned(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_must_rise_and_be_finite() {
        assert!(edges("x", &[0.0, 1.0, 2.0]).is_ok());
        for bad in [&[][..], &[1.0], &[0.0, 0.0], &[0.0, f64::NAN]] {
            assert!(edges("x", bad).is_err(), "{bad:?}");
        }
        let error = edges("m_{HH}", &[0.0, 2.0, 1.0]).expect_err("edges fall");
        assert_eq!(
            error.to_string(),
            "edges of m_{HH}: edge 2 (1) is not above edge 1 (2); \
             expected at least two finite edges in rising order"
        );
    }
}
