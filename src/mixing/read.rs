//! The events that are mixed: source and target with all their jets.

use super::hemispheres::{halves, pseudo_tag};
use super::library::MixEvent;
use crate::error::{Error, Result, counted};
use crate::events::{Dataset, Hidden, IdSpec, ListedJet, Resolver, ScanRequest, builtin_names};
use crate::settings::{
    Blinding, Config, LibraryBlind, MixingConfig, Queries, SampleConfig, SampleRole,
};
use crate::workflow::{Sample, SampleSpec, Wanted};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Fewest jets of an event.
const JETS: usize = 4;
/// Name of the selection that all events fulfil: mixed ones come from everywhere.
const EVERYWHERE: &str = "mixing";

/// The column of predictions that has the ratio.
const NOMINAL: &str = "nominal";

/// Events of a sample, by their rows.
pub(super) struct MixSample {
    pub sample: Sample,
    pub events: Vec<MixEvent>,
    /// Names of the columns of its files.
    columns: BTreeSet<String>,
}

/// What is mixed.
pub(super) struct Material<'a> {
    pub config: &'a Config,
    pub mixing: &'a MixingConfig,
    /// Of the source: none if the target is mixed with itself.
    source: Option<MixSample>,
    pub target: MixSample,
    /// Digests of the predictions that shaped the queries.
    pub shaped_by: Vec<String>,
}

impl<'a> Material<'a> {
    /// Reads both samples, with paths as the working directory has them. `first`: the predictions
    /// of the ensemble whose ratio shapes the queries.
    pub(super) fn read(
        config: &'a Config,
        mixing: &'a MixingConfig,
        first: Option<&Path>,
    ) -> Result<Self> {
        let source = match mixing.queries {
            Queries::Target => None,
            Queries::Source => config.data.source.as_ref(),
        };
        let source = source.map(|sample| {
            let about = ("source", "data.source", sample, SampleRole::Model);
            read(config, mixing, about)
        });
        // whatever the command line opens: members do not depend on it
        let whose = match mixing.library_blind {
            LibraryBlind::Exclude => SampleRole::Data,
            LibraryBlind::Include => SampleRole::Simulation,
        };
        let about = ("target", "data.target", &config.data.target, whose);
        let mut source = source.transpose()?;
        let mut shaped_by = Vec::new();
        if let (Some(path), Some(source)) = (first, &mut source) {
            shaped_by = shape(path, config, source)?;
        }
        let material = Self {
            config,
            mixing,
            source,
            shaped_by,
            target: read(config, mixing, about)?,
        };
        material.check()?;
        Ok(material)
    }

    /// The events whose hemispheres are replaced.
    pub(super) fn queries(&self) -> &MixSample {
        self.source.as_ref().unwrap_or(&self.target)
    }

    /// Whether the files have a column of this name.
    pub(super) fn is_column(&self, name: &str) -> bool {
        self.queries().columns.contains(name)
    }

    /// Built-in columns that are columns of the files: mixed events have them as columns too, so
    /// that a name means the same in all samples.
    pub(super) fn stored(&self) -> impl Iterator<Item = &'static str> {
        builtin_names().filter(|name| self.is_column(name))
    }

    /// Whether the library has no event that is hidden, so that its contents may be counted.
    pub(super) fn may_be_counted(&self) -> bool {
        let hides = Blinding::new(&self.config.regions, false).is_closed();
        !hides || self.mixing.library_blind == LibraryBlind::Exclude
    }

    fn check(&self) -> Result<()> {
        let queries = self.queries();
        let weights = &queries.sample.table.weights;
        let role = queries.sample.role;
        let negative = weights.iter().filter(|weight| **weight < 0.0).count();
        if negative > 0 {
            return Err(Error::data_at(
                format!("data.{role}.weight"),
                format!(
                    "{} of negative weight: no event is in a set less than never; select such \
                     events away",
                    counted(negative, "event")
                ),
            ));
        }
        let Some(source) = &self.source else {
            return Ok(());
        };
        let keys = source.sample.table.ids.sorted_keys()?;
        let theirs = self.target.sample.table.ids.keys();
        let shared = theirs.filter(|key| keys.binary_search(key).is_ok()).count();
        if shared > 0 {
            return Err(Error::data_at(
                "data.target.id",
                format!(
                    "{} of the target have the id of a source event, whose own hemispheres would \
                     be left out of its neighbours: give the samples another namespace, or set \
                     mixing.queries = \"target\" to mix the target with itself",
                    counted(shared, "event")
                ),
            ));
        }
        Ok(())
    }
}

/// Multiplies the weights of queries by the ratios of a first ensemble; gives the digests of its
/// predictions.
fn shape(path: &Path, config: &Config, source: &mut MixSample) -> Result<Vec<String>> {
    let about = config.data.source.as_ref();
    let about = about.ok_or_else(|| Error::config_at("data.source", "there is none"))?;
    let dataset = Dataset::open(&[path.display().to_string()], Path::new(""))?;
    let resolver = Resolver::new(dataset.columns(), [])?;
    let request = ScanRequest {
        columns: vec![(NOMINAL.to_owned(), resolver.compile(NOMINAL)?)],
        id: IdSpec::Columns(about.id.clone()),
        id_namespace: about.namespace.clone(),
        ..ScanRequest::new(Hidden::nothing())
    };
    let predicted = dataset.scan(&request, None)?;
    let ratios = predicted.columns.first();
    let ratios = ratios.map_or(&[][..], |(_, values)| values.as_slice());
    let ratios: HashMap<u64, f64> = predicted.ids.keys().zip(ratios.iter().copied()).collect();
    let table = &mut source.sample.table;
    let keys: Vec<u64> = table.ids.keys().collect();
    for (weight, key) in table.weights.iter_mut().zip(keys) {
        let ratio = ratios
            .get(&key)
            .filter(|ratio| ratio.is_finite() && **ratio > 0.0);
        let ratio = ratio.ok_or_else(|| {
            let text = "a query has no ratio above zero in the predictions of the first ensemble";
            Error::data_at("mixing.fidelity", text).at(path.display())
        })?;
        *weight *= ratio;
    }
    let digests = dataset.digest()?.into_iter();
    Ok(digests.map(|file| file.sha256).collect())
}

fn read(
    config: &Config,
    mixing: &MixingConfig,
    (role, place, sample, whose): (&'static str, &str, &SampleConfig, SampleRole),
) -> Result<MixSample> {
    let blinding = Blinding::new(&config.regions, false);
    let columns = mixing.event_columns.iter();
    let wanted = Wanted {
        columns: columns.map(|name| (name.clone(), name.clone())).collect(),
        columns_are_keys: true,
        flags: vec![(EVERYWHERE.to_owned(), "1".to_owned())],
        ..Wanted::default()
    };
    let spec = SampleSpec {
        role,
        place,
        sample,
        whose,
    };
    let sample_of = spec.open(config, &wanted, &blinding)?.read(None)?;
    let at_path = |e: Error| e.at_key(format!("{place}.path"));
    let dataset = Dataset::open(&sample.path.to_list(), Path::new("")).map_err(at_path)?;
    let resolver = config.data.resolver(dataset.columns())?;
    let ids = &sample_of.table.ids;
    let places: Vec<u64> = (0..ids.len()).map(|event| ids.place(event)).collect();
    let jets = dataset.jets_of(&resolver, &places);
    let jets = jets.map_err(|e| e.at_key(place))?;
    let mut events = Vec::with_capacity(jets.len());
    for (event, mut jets) in jets.into_iter().enumerate() {
        check_jets(&jets, mixing.tags, role)
            .map_err(|why| why.at(format!("event {} of {place}", event + 1)))?;
        if role == "source" {
            pseudo_tag(&mut jets, mixing.tags);
        }
        let halves = halves(&jets);
        let halves = halves.ok_or_else(|| Error::data_at(place, "an event has no jets"))?;
        let key = ids.key(event);
        events.push(MixEvent { key, halves });
    }
    let columns = dataset.columns().iter().map(|column| column.name.clone());
    Ok(MixSample {
        columns: columns.collect(),
        sample: sample_of,
        events,
    })
}

/// Whether an event can be mixed at all.
fn check_jets(jets: &[ListedJet], tags: usize, role: &str) -> Result<()> {
    let selected = jets.iter().filter(|jet| jet.is_selected);
    let (count, tagged) = (
        selected.clone().count(),
        selected.filter(|jet| jet.is_tagged).count(),
    );
    let few = |what: &str, found: usize, least: usize| {
        Err(Error::data(format!(
            "it has {}, and {least} are needed: select such events away, or change data.jets or \
             mixing.tags",
            counted(found, what)
        )))
    };
    if jets.len() < JETS {
        return few("jet", jets.len(), JETS);
    }
    if count < tags {
        return few("selected jet", count, tags);
    }
    if role == "target" && tagged < tags {
        return few("tagged jet", tagged, tags);
    }
    Ok(())
}
