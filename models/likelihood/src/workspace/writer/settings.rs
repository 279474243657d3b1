//! What the measurement says of the parameters.

use super::{ExportError, Kind, Writer, schema};

impl Writer<'_> {
    /// Refuses what pyhf cannot share between channels.
    fn check_staterrors(&self) -> Result<(), ExportError> {
        for (name, channels) in &self.staterrors {
            let mut samples = channels.values();
            let first = samples.next();
            if samples.any(|other| Some(other) != first) {
                let problem = "is a staterror of several channels, but not of the same samples; \
                               pyhf needs one name a channel then";
                return Err(self.problem(self.sets[name].1[0], problem));
            }
        }
        Ok(())
    }

    /// Settings of all parameters that are used.
    pub(in super::super) fn parameters(&self) -> Result<Vec<schema::Parameter>, ExportError> {
        self.check_staterrors()?;
        let settings =
            |(name, (kind, places)): (&String, &(Kind, Vec<usize>))| self.set(name, *kind, places);
        self.sets.iter().map(settings).collect()
    }

    fn set(
        &self,
        name: &str,
        kind: Kind,
        places: &[usize],
    ) -> Result<schema::Parameter, ExportError> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let all = |of: &dyn Fn(usize) -> f64| places.iter().map(|k| of(*k)).collect::<Vec<f64>>();
        let constraint = |k: usize| self.model.parameters[k].constraint;
        let counted = kind == Kind::ShapeSys;
        let gaussian = matches!(kind, Kind::Lumi | Kind::StatError | Kind::Alpha);
        let centre = |k| constraint(k).map_or(0.0, |c| c.centre);
        let tau = |k| self.count(k).map_or(1.0, |c| c.tau);
        let observed = |k| self.count(k).map_or(1.0, |c| c.observed);
        let parameters = &self.model.parameters;
        let endless = |k: &&usize| {
            let (low, high) = parameters[**k].bounds;
            !(low.is_finite() && high.is_finite())
        };
        if let Some(k) = places.iter().find(endless) {
            return Err(self.problem(*k, "has no finite bounds, which a workspace needs"));
        }
        Ok(schema::Parameter {
            name: name.to_owned(),
            inits: Some(all(&|k| self.model.nominal()[k])),
            bounds: Some(places.iter().map(|k| parameters[*k].bounds).collect()),
            auxdata: match (gaussian, counted) {
                (true, _) => Some(all(&centre)),
                (_, true) => Some(all(&observed)),
                _ => None,
            },
            factors: counted.then(|| all(&tau)),
            sigmas: matches!(kind, Kind::Lumi | Kind::StatError)
                .then(|| all(&|k| constraint(k).map_or(1.0, |c| c.width))),
            // left out where some bins are fixed: they have no uncertainty
            fixed: places.iter().all(|k| self.is_fixed(*k)).then_some(true),
        })
    }
}
