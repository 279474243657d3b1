//! Where the paths of a configuration start: from its own folder, and from the run directory
//! where they begin with `run:`. Once they started from the working directory; what is only
//! there is still found.

use super::parse::Experiment;
use super::raw::{Config, OneOrMany, RUN_PREFIX, SampleConfig};
use crate::error::{Error, OnFile, Result};
use crate::events::{found, same_contents, within};
use indexmap::IndexMap;
use std::path::{Component, Path, PathBuf};

/// Where the paths of a configuration start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// The run directory.
    pub run: PathBuf,
    /// The folder of the configuration; the working directory if it is empty.
    pub folder: PathBuf,
}

/// What a path means.
enum Meaning {
    /// It starts from the configuration's folder, or from nowhere.
    Own(String),
    /// It is found from the working directory alone.
    Former,
}

impl Places {
    /// A sample with its paths as the working directory has them.
    pub(crate) fn sample(&self, sample: &SampleConfig) -> Result<SampleConfig> {
        let place = |path: &String| self.place(path);
        Ok(SampleConfig {
            path: match &sample.path {
                OneOrMany::One(path) => OneOrMany::One(place(path)?),
                OneOrMany::Many(list) => {
                    OneOrMany::Many(list.iter().map(place).collect::<Result<_>>()?)
                }
            },
            ..sample.clone()
        })
    }

    /// The same of a whole configuration.
    pub(crate) fn config(&self, config: &Config) -> Result<Config> {
        let at = |role: &'static str| move |error: Error| error.at_key(format!("data.{role}.path"));
        let data = &config.data;
        let source = data.source.as_ref().map(|source| self.sample(source));
        let mut placed = config.clone();
        placed.data.source = source.transpose().map_err(at("source"))?;
        placed.data.target = self.sample(&data.target).map_err(at("target"))?;
        Ok(placed)
    }

    fn place(&self, path: &str) -> Result<String> {
        if let Some(inside) = path.strip_prefix(RUN_PREFIX) {
            return Ok(self.run.join(inside).display().to_string());
        }
        Ok(match self.meaning(path)? {
            Meaning::Own(placed) => placed,
            Meaning::Former => path.to_owned(),
        })
    }

    fn meaning(&self, path: &str) -> Result<Meaning> {
        let own = within(&self.folder, path);
        if Path::new(path).is_absolute() || self.is_working_directory() {
            return Ok(Meaning::Own(own));
        }
        let [there, here] = [&self.folder, Path::new("")].map(|folder| found(path, folder));
        if here.is_empty() || same_contents(&there, &here)? {
            return Ok(Meaning::Own(own));
        }
        if there.is_empty() {
            return Ok(Meaning::Former);
        }
        Err(Error::config(format!(
            "it means {own}, from the folder of the configuration, and there is another `{path}` \
             in the working directory, from which paths once started: write one of the two as an \
             absolute path, or move one away"
        )))
    }

    fn is_working_directory(&self) -> bool {
        let real = |folder: &Path| folder.canonicalize().ok();
        self.folder.as_os_str().is_empty() || real(&self.folder) == real(Path::new("."))
    }

    /// What to write for paths that are found from the working directory alone, a sentence a
    /// key.
    pub(crate) fn notes(&self, experiment: &Experiment) -> Result<Vec<String>> {
        let mut notes = IndexMap::new();
        for (key, path) in experiment.paths() {
            let is_former = !path.starts_with(RUN_PREFIX)
                && matches!(
                    self.meaning(&path).map_err(|e| e.at_key(&key))?,
                    Meaning::Former
                );
            if !is_former {
                continue;
            }
            let folder = self.folder.canonicalize().on(&self.folder)?;
            let working = Path::new(".").canonicalize().on(".")?;
            let better = relative(&folder, &working.join(&path));
            let text = format!(
                "`{key}`: {path} is found from the working directory; paths start from the folder \
                 of the configuration now: write {:?}",
                better.display().to_string()
            );
            notes.entry(key).or_insert(text);
        }
        Ok(notes.into_values().collect())
    }
}

impl Experiment {
    /// Paths of all samples, by the configuration's key.
    fn paths(&self) -> Vec<(String, String)> {
        let mut list = Vec::new();
        let mut add = |key: String, path: &OneOrMany| {
            list.extend(path.to_list().into_iter().map(|path| (key.clone(), path)));
        };
        let limit = self.limit.as_ref().and_then(|l| l.measurement().ok());
        let Some(measurement) = self.measurement.as_ref().or(limit.as_ref()) else {
            for spec in &self.ensembles {
                for (role, sample) in spec.config.data.samples() {
                    add(format!("data.{role}.path"), &sample.path);
                }
            }
            let mixing = self.mixing.iter().flat_map(|config| &config.mixing);
            for (name, of) in mixing.flat_map(|mixing| &mixing.uncertainties) {
                if let Some(signal) = of.signal_sample() {
                    add(
                        format!("mixing.uncertainties.{name}.signal.path"),
                        &signal.path,
                    );
                }
            }
            list.sort();
            list.dedup();
            return list;
        };
        for (name, process) in &measurement.samples {
            add(format!("samples.{name}.path"), &process.path);
        }
        for (systematic, about) in &measurement.systematics {
            for (process, varied) in &about.samples {
                for (side, own) in [("up", &varied.up), ("down", &varied.down)] {
                    if let Some(path) = &own.path {
                        let place = format!("systematics.{systematic}.samples.{process}");
                        add(format!("{place}.{side}.path"), path);
                    }
                }
            }
        }
        if let Some(observed) = &measurement.observed {
            add("observed.path".to_owned(), &observed.path);
        }
        list
    }
}

/// A path as it is written in a folder; both without links.
pub(crate) fn relative(folder: &Path, path: &Path) -> PathBuf {
    let [folder, parts]: [Vec<Component<'_>>; 2] =
        [folder, path].map(|path| path.components().collect());
    let common = folder.iter().zip(&parts).take_while(|(a, b)| a == b);
    let common = common.count();
    let up = folder[common..].iter().map(|_| Component::ParentDir);
    up.chain(parts[common..].iter().copied()).collect()
}

/// A path without the folders that it goes into and out of again, if it leads to the same place.
pub(crate) fn direct(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        let last = short.components().next_back();
        match part {
            Component::ParentDir if matches!(last, Some(Component::Normal(_))) => {
                short.pop();
            }
            Component::CurDir => {}
            part => short.push(part),
        }
    }
    let real = |path: &Path| path.canonicalize().ok();
    // a folder that is a link leads elsewhere
    match real(&short) {
        Some(place) if real(path).as_ref() == Some(&place) => short,
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn paths_are_written_from_their_folder() {
        for (folder, path, expected) in [
            ("/a/b", "/a/b/c.parquet", "c.parquet"),
            ("/a/b", "/a/d/*.parquet", "../d/*.parquet"),
            ("/", "/a/c", "a/c"),
            ("/a/b/c", "/x", "../../../x"),
        ] {
            let found = relative(Path::new(folder), Path::new(path));
            assert_eq!(found, Path::new(expected));
        }
    }

    #[test]
    fn paths_go_into_no_folder_to_leave_it_again() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("runs/x")).unwrap();
        for way in ["a/../runs/x", "a/b/../../runs/./x", "runs/x"] {
            assert_eq!(direct(&root.join(way)), root.join("runs/x"), "{way}");
        }
        assert_eq!(direct(Path::new("..")), Path::new(".."));
        // what is not there stays as it is written
        let nowhere = root.join("a/../nowhere");
        assert_eq!(direct(&nowhere), nowhere);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
            fs::create_dir(root.join("a/runs")).unwrap();
            let way = root.join("link/../runs");
            assert_eq!(direct(&way), way);
        }
    }

    #[test]
    fn a_path_starts_from_the_configurations_folder_whatever_that_is_called() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a[b]*");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("x_1"), "").unwrap();
        let places = Places {
            run: PathBuf::from("out"),
            folder: folder.clone(),
        };
        for pattern in ["x_1", "x_*"] {
            let placed = places.place(pattern).unwrap();
            assert_eq!(
                found(&placed, Path::new("")),
                [folder.join("x_1")],
                "{pattern}"
            );
        }
        assert_eq!(places.place("run:s/S").unwrap(), "out/s/S");
        assert_eq!(places.place("/x/*").unwrap(), "/x/*");
    }
}
