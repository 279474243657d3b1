//! Parameters of single bins: what they are and what uncertainties they stand for.

use super::{ExportError, Kind, Modifier, Site, Template, Writer};

impl Writer<'_> {
    /// What parameters of the bins are, by their constraints.
    pub(super) fn kind_of(
        &self,
        parameters: &[usize],
    ) -> Result<(Kind, &'static str), ExportError> {
        let kind = |k: usize| match (&self.model.parameters[k].constraint, self.count(k)) {
            (None, None) => Some((Kind::ShapeFactor, "shapefactor")),
            (Some(_), None) => Some((Kind::StatError, "staterror")),
            (None, Some(_)) => Some((Kind::ShapeSys, "shapesys")),
            (Some(_), Some(_)) => None,
        };
        let first = kind(parameters[0]);
        match parameters
            .iter()
            .find(|k| kind(**k) != first || first.is_none())
        {
            Some(odd) => Err(self.problem(*odd, "is not constrained as the other bins are")),
            None => Ok(first.unwrap_or((Kind::ShapeFactor, "shapefactor"))),
        }
    }

    /// Absolute uncertainties of one sample, whose sum in quadrature over the
    /// samples that share the parameters is the width of the constraint.
    pub(super) fn shares(
        &self,
        site: &Site<'_>,
        parameters: &[usize],
        nominal: &[f64],
    ) -> Vec<f64> {
        let shares = |template: &&Template| {
            let own =
                |m: &Modifier| matches!(m, Modifier::PerBin { parameters: p } if p == parameters);
            template.modifiers.iter().any(own)
        };
        // contents as they are in the file
        let contents = |t: &Template| -> Vec<f64> {
            let scale = self.scale(t);
            t.nominal.iter().map(|n| scale * n).collect()
        };
        let templates = site.channel.templates().iter();
        let all: Vec<Vec<f64>> = templates.filter(shares).map(contents).collect();
        let one = |(bin, k): (usize, &usize)| {
            if self.is_fixed(*k) {
                return 0.0;
            }
            let width = self.model.parameters[*k]
                .constraint
                .map_or(0.0, |c| c.width);
            let total: f64 = all.iter().map(|t| t[bin]).sum();
            let absolute: f64 = all.iter().map(|t| t[bin].abs()).sum();
            if absolute == 0.0 {
                return 0.0;
            }
            width * total.abs() * (nominal[bin].abs() / absolute).sqrt()
        };
        parameters.iter().enumerate().map(one).collect()
    }

    /// Absolute uncertainties whose auxiliary counts are those of the parameters.
    pub(super) fn errors(&self, parameters: &[usize], nominal: &[f64]) -> Vec<f64> {
        let one = |(n, k): (&f64, &usize)| match self.count(*k) {
            Some(count) if !self.is_fixed(*k) => n / count.tau.sqrt(),
            _ => 0.0,
        };
        nominal.iter().zip(parameters).map(one).collect()
    }

    /// The name before `[0]`, `[1]`, ...
    pub(super) fn base(&self, parameters: &[usize]) -> Result<String, ExportError> {
        let split = |k: usize| {
            let (base, rest) = self.name(k).rsplit_once('[')?;
            let place: usize = rest.strip_suffix(']')?.parse().ok()?;
            Some((base.to_owned(), place))
        };
        let first = split(parameters[0]);
        for (i, k) in parameters.iter().enumerate() {
            let fits = match (&first, split(*k)) {
                (Some((base, start)), Some((other, place))) => *base == other && start + i == place,
                _ => false,
            };
            if !fits {
                let problem = "belongs to a bin; name such parameters `name[0]`, `name[1]`, ...";
                return Err(self.problem(*k, problem));
            }
        }
        Ok(first.map(|(base, _)| base).unwrap_or_default())
    }
}
