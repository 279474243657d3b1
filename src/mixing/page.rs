//! The page of a mixing, and its figures.

use super::figures::{background, mixed};
use super::library::Refusal;
use super::result::{MixingResult, RESULT, UncertaintyResult, read_result};
use super::summary::SetsSummary;
use crate::error::{Error, OnFile, Result, counted};
use crate::files::regular::make_folder;
use crate::report::numbers::{known, number, p_value, percent, significant, with_error};
use crate::report::page::{Page, PageFigure, PageVerdict, Section, Status, Table, render};
use crate::report::{experiment_label, save};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::{Config, Experiment, UNCERTAINTY};
use crate::statistics::moments;
use crate::workflow::redo_matrix;
use sideband_likelihood::mixing::{BiasOrder, Estimator, VarianceOrder};

/// What to conclude, the most important first.
pub(crate) fn verdict(result: &MixingResult) -> Vec<PageVerdict> {
    let mut lines = Vec::new();
    for (name, of) in &result.uncertainties {
        lines.push(overall(name, of));
        let mut warn = |text: String| lines.push(PageVerdict::new(Status::Warning, text));
        if !of.variance.is_decorrelated {
            warn(format!(
                "{name}: no order leaves pulls of neighbouring bins uncorrelated; the one that \
                 leaves them least so is taken"
            ));
        }
        if !of.bias.is_satisfied {
            warn(format!(
                "{name}: no order describes the mixed data; the bias is that of the highest"
            ));
        }
        if of.is_widened {
            warn(format!(
                "{name}: sets share queries, and their models vary less than members of the data's \
                 own ensemble, whose spread is taken"
            ));
        }
    }
    lines.extend(
        result
            .notes
            .iter()
            .map(|note| PageVerdict::new(Status::Info, note)),
    );
    lines
}

fn overall(name: &str, of: &UncertaintyResult) -> PageVerdict {
    let sizes = |list: &[f64]| {
        let each = list.iter().map(|size| percent(*size));
        each.collect::<Vec<_>>().join(", ")
    };
    let chosen = of.bias.chosen();
    let mut text = format!(
        "{name}: the variance is of order {} ({} by order), the bias of order {} ({}",
        of.variance.selected,
        sizes(&of.variance.chosen().size),
        chosen.order,
        sizes(&chosen.bias),
    );
    let pulls = chosen.coefficients.iter().zip(&chosen.errors);
    let largest = pulls.map(|(c, e)| (c / e).abs()).fold(0.0, f64::max);
    text += &format!("; at most {largest:.1} errors from zero)");
    let Some((found, used)) = chosen.spurious.as_ref().zip(of.spurious) else {
        text += "; without a signal nothing is said of a spurious one";
        return PageVerdict::new(Status::Info, text);
    };
    let strength = with_error(found.strength, found.error);
    let share = of.strength_errors.and_then(|errors| errors.all);
    let share = share.map_or_else(String::new, |error| {
        format!(", {:.2} of the expected error", found.strength / error)
    });
    match used.is_found {
        true => {
            let side = match used.is_one_sided {
                true => ", one-sided",
                false => "",
            };
            text += &format!("; spurious signal of strength {strength}{share}, a variation{side}");
            PageVerdict::new(Status::Open, text)
        }
        false => {
            text += &format!("; no spurious signal (strength {strength}{share})");
            PageVerdict::new(Status::Good, text)
        }
    }
}

/// Draws the page and its figures; gives what could not be drawn.
pub(super) fn write(
    root: &RunDirectory,
    config: &Config,
    result: &MixingResult,
) -> Result<Vec<String>> {
    let plots = root.plots();
    make_folder(&plots).on(&plots)?;
    let label = experiment_label(&config.report);
    let mut undrawn = Vec::new();
    let mut sections = Vec::new();
    for (name, of) in &result.uncertainties {
        let mut section = section(name, of);
        let figures = [
            (
                "mixed",
                "The mean of the mixed data, and the mean of the sets' models with all \
                       variations.",
                mixed(config, of).draw(),
            ),
            (
                "background",
                "The data's own model with all variations, the bias as an uncertainty \
                            and taken away.",
                background(config, of).draw(),
            ),
        ];
        for (kind, caption, drawn) in figures {
            let file = format!("{name}_{kind}");
            let both = drawn.and_then(|drawn| Ok((drawn.labelled(&label).files()?, drawn)));
            let (files, drawn) = match both {
                Ok(both) => both,
                Err(error) => {
                    undrawn.push(format!("the figure {file} is not drawn: {error}"));
                    continue;
                }
            };
            save(root, &file, &files)?;
            section.figures.push(PageFigure {
                name: file,
                drawn,
                caption: caption.to_owned(),
                ..PageFigure::default()
            });
        }
        sections.push(section);
    }
    sections.push(alike(config, result));
    sections.push(of_sets(&result.sets));
    sections.push(Section::new("Files").text(
        "mixing.json has every number of this page; templates.json the backgrounds and their \
         variations; workspace.json is a pyhf workspace where there is a signal, observed as the \
         background expects; mixing/set_NN.parquet are the sets, with the jets and parents of \
         every event. The ensembles are in ensembles.html.",
    ));
    let title = config.report.title.as_ref();
    let page = Page {
        title: title.unwrap_or(&config.experiment.name).clone(),
        subtitle: config.experiment.description.clone(),
        verdict: verdict(result),
        facts: facts(result),
        sections,
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    let page = page.labelled(&label);
    root.write(&root.report_path(), render(&page).as_bytes())?;
    Ok(undrawn)
}

/// Draws the page of a run anew, and those of its ensembles, with the words of its configuration.
pub(crate) fn redraw(
    root: &RunDirectory,
    experiment: &Experiment,
    config: &Config,
    progress: &Progress,
) -> Result<MixingResult> {
    let missing = || {
        let place = root.join(RESULT);
        let reason = "there is no result; run the mixing again, which makes it anew";
        Error::data_at(place.display(), reason)
    };
    let mut result = read_result(root)?.ok_or_else(missing)?;
    root.check_settings(&result.settings, &config.numbers())?;
    let mixing = config.mixing.iter();
    for (name, of) in mixing.flat_map(|mixing| &mixing.uncertainties) {
        if let Some(own) = result.uncertainties.get_mut(name) {
            of.axis_label().clone_into(&mut own.label);
        }
    }
    redo_matrix(root, experiment, progress)?;
    let stage = progress.stage("drawing", 0);
    let undrawn = write(root, config, &result)?;
    undrawn.iter().for_each(|text| progress.say(text));
    drop(stage);
    Ok(result)
}

fn facts(result: &MixingResult) -> Vec<(String, String)> {
    let sets = &result.sets;
    let facts = [
        ("sets", sets.sets.len().to_string()),
        (
            "events that give hemispheres' places",
            sets.queries.to_string(),
        ),
        (
            "events of the library",
            sets.library
                .map_or_else(|| "not said".to_owned(), |n| n.to_string()),
        ),
        ("weight that cannot be mixed", percent(sets.unmixable)),
        ("an event in all sets, on average", number(sets.expected)),
        (
            "events that parents are worth",
            sets.reuse
                .map_or_else(|| "not said".to_owned(), |reuse| number(reuse.effective)),
        ),
        (
            "AUC of mixed data against the target",
            result
                .auc
                .map_or_else(|| "none".to_owned(), |auc| with_error(auc.value, auc.error)),
        ),
    ];
    let facts = facts.into_iter();
    facts.map(|(name, x)| (name.to_owned(), x)).collect()
}

fn section(name: &str, of: &UncertaintyResult) -> Section {
    let orders = of.bias.chosen().coefficients.len();
    let text = format!(
        "{} in {}, {}. Functions are Fourier's, orthogonal with the mean model as weight; sizes \
         are relative changes from the lowest to the highest bin.",
        of.label,
        of.region,
        counted(of.histograms.bins(), "bin")
    );
    let chosen = of.bias.chosen();
    let varied = of.variance.chosen();
    let both = [Estimator::Unbiased, Estimator::Published].map(|by| varied.sizes(by));
    let sizes = (0..orders).map(|k| {
        let left = of.corrected_nuisances.iter();
        let left = left.filter(|n| n.order == Some(k)).map(|n| n.size);
        let size = |list: &[f64]| list.get(k).map_or("–".to_owned(), |x| percent(*x));
        vec![
            k.to_string(),
            size(&varied.size),
            size(&both[0]),
            size(&both[1]),
            with_error(100.0 * chosen.coefficients[k], 100.0 * chosen.errors[k]),
            size(&chosen.bias),
            size(&chosen.total),
            percent(left.fold(0.0, f64::hypot)),
        ]
    });
    let mut section = Section::new(format!("Uncertainty {name}"))
        .text(text)
        .table(Table::new(
            "Sizes by order",
            "order | variance | unbiased estimator | published estimator | bias coefficient, % | \
             bias | total | total, bias corrected",
            sizes,
        ))
        .table(Table::new(
            "Models of the sets over their mean",
            "bin | mean | lowest | highest | standard deviation",
            over_mean(of),
        ))
        .table(Table::new(
            "Variance: are pulls of neighbouring bins correlated?",
            "order | r | published p | r for white noise | calibrated p | ",
            of.variance
                .orders
                .iter()
                .map(|o| tested(o, of.variance.selected)),
        ))
        .table(Table::new(
            "Bias: fits of the mean of the mixed data",
            "order | χ² / ndf | p | F probability of the gain | signal strength | its F \
             probability | ",
            of.bias.orders.iter().map(|o| fits(o, of.bias.selected)),
        ));
    if let Some(law) = &of.law {
        let rows = (0..law.data.len()).map(|k| {
            let of_replicas = law.initial[k] / law.replicas as f64;
            let needed = law.needed[k].map_or("–".to_owned(), |n| n.to_string());
            vec![
                k.to_string(),
                percent(law.data[k].sqrt()),
                percent(law.initial[k].sqrt()),
                percent(of_replicas.sqrt()),
                needed,
            ]
        });
        section = section.table(Table::new(
            &format!(
                "Spread of the models: what is that of their events, and what of replicas, of \
                 which a model has {}",
                law.replicas
            ),
            "order | events | one replica | all replicas | replicas that leave a tenth of the \
             variance of the events",
            rows,
        ));
    }
    if let Some(errors) = of.strength_errors {
        let row =
            |(what, error): (&str, Option<f64>)| vec![what.to_owned(), known(error, None, "–")];
        let rows = [
            ("all", errors.all),
            ("without the variance", errors.without_variance),
            ("without the bias", errors.without_bias),
            ("without the spurious signal", errors.without_spurious),
            ("statistics alone", errors.statistics),
            ("all, bias corrected", errors.corrected),
        ];
        section = section.table(Table::new(
            "Expected error of the signal's strength",
            "sources | error",
            rows.map(row),
        ));
    }
    if of.is_corrected {
        section = section.text(
            "Templates have the bias taken away. That is right only if the data are biased as the \
             mixed data are, which nothing here tests.",
        );
    }
    section
}

/// The models in every bin, relative to their mean.
fn over_mean(of: &UncertaintyResult) -> impl Iterator<Item = Vec<String>> {
    let sets = &of.histograms;
    let [average, _] = sets.average();
    average.into_iter().enumerate().map(move |(b, mean)| {
        let ratios: Vec<f64> = sets.models.iter().map(|model| model[b] / mean).collect();
        let (_, variance) = moments(&ratios);
        let [low, high] = [f64::min, f64::max].map(|further| {
            let first = ratios.first().copied().unwrap_or(f64::NAN);
            ratios.iter().copied().fold(first, further)
        });
        vec![
            format!("{} – {}", number(sets.edges[b]), number(sets.edges[b + 1])),
            number(mean),
            format!("{low:.3}"),
            format!("{high:.3}"),
            percent(variance.sqrt()),
        ]
    })
}

fn marked(is_selected: bool) -> String {
    if is_selected { "taken" } else { "" }.to_owned()
}

fn tested(order: &VarianceOrder, selected: usize) -> Vec<String> {
    vec![
        order.order.to_string(),
        format!("{:.3}", order.correlation),
        order.p_value.map_or("–".to_owned(), p_value),
        format!("{:.3}", order.white.expected),
        p_value(order.white.p_value),
        marked(order.order == selected),
    ]
}

fn fits(order: &BiasOrder, selected: i32) -> Vec<String> {
    let three = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.3}"));
    let spurious = order.spurious.as_ref();
    vec![
        order.order.to_string(),
        format!("{} / {}", significant(order.chi2, 3), order.ndf),
        p_value(order.p_value),
        three(order.f_probability),
        spurious.map_or("–".to_owned(), |s| with_error(s.strength, s.error)),
        three(spurious.map(|s| s.f_probability)),
        marked(order.order == selected),
    ]
}

/// Mixed data against the target where both may be looked at.
fn alike(config: &Config, result: &MixingResult) -> Section {
    let target = config.data.target_label();
    let prefixed = |name: &str| {
        let own = name.strip_prefix(UNCERTAINTY)?;
        Some(result.uncertainties.get(own)?.label.as_str())
    };
    let rows = result.likeness.iter().map(|(name, chi2)| {
        vec![
            prefixed(name).unwrap_or(config.axis(name).0).to_owned(),
            format!("{} / {}", significant(chi2.chi2, 3), chi2.ndf),
            p_value(chi2.p_value),
        ]
    });
    let region = config.region_label(&config.training.region);
    let told = result.auc.map(|auc| {
        format!(
            "A fresh classifier tells events of the first set from those of {target} in {region} \
             with an AUC of {}: 0.5 if nothing tells them apart.",
            with_error(auc.value, auc.error)
        )
    });
    let section = Section::new(format!("Mixed data against {target}"));
    told.into_iter()
        .fold(section, Section::text)
        .text(format!(
            "Shapes of {target} and of the mean of the sets in {region}, of events that no member \
             has seen. The mean has the error of one set, since sets share parents."
        ))
        .table(Table::new(
            "Distributions",
            "distribution | χ² / ndf | p",
            rows,
        ))
}

fn of_sets(sets: &SetsSummary) -> Section {
    let reason = |reason: Refusal| match reason {
        Refusal::OneSided => "all jets on one side",
        Refusal::NoPool => "a pool that is too small",
        Refusal::NoPair => "neighbours of one event alone",
    };
    let refused = sets.refused.iter().map(|of| {
        vec![
            reason(of.reason).to_owned(),
            of.events.to_string(),
            number(of.weight),
        ]
    });
    let each = sets.sets.iter().enumerate().map(|(set, of)| {
        vec![
            set.to_string(),
            of.events.to_string(),
            of.in_training.to_string(),
        ]
    });
    let histograms = sets.histograms.iter().map(|(name, of)| {
        vec![
            name.clone(),
            number(of.mean.iter().sum()),
            of.outside.to_string(),
            of.inflation().map_or("–".to_owned(), |x| format!("{x:.2}")),
        ]
    });
    let pools = sets.pools.iter().map(|pool| {
        let other = pool.other.map_or("any".to_owned(), |n| n.to_string());
        let counts = [pool.selected, pool.tagged].map(|n| n.to_string());
        let scales = pool.scales.map(number);
        let size = [other, pool.hemispheres.to_string()];
        counts.into_iter().chain(size).chain(scales).collect()
    });
    let distances = sets.distances.iter().enumerate().map(|(k, quantiles)| {
        let place = [(k + 1).to_string()];
        place.into_iter().chain(quantiles.map(number)).collect()
    });
    let parents = sets.reuse.map_or_else(String::new, |reuse| {
        format!(
            "An event of the library that is used is a parent {} times, at most {}.",
            number(reuse.mean),
            reuse.most
        )
    });
    let short = counted(sets.short, "event");
    let short = format!("{short} had fewer pairs than were asked for.");
    let hidden = match sets.library {
        Some(_) => "",
        None => "Pools and parents are not counted: some hemispheres are of hidden events.",
    };
    let duplicates = sets.duplicates.map_or_else(String::new, |n| {
        format!(
            "{} of the library have the features of another event's.",
            counted(n, "hemisphere")
        )
    });
    let texts = [parents, short, hidden.to_owned(), duplicates];
    let texts = texts.into_iter().filter(|text| !text.is_empty());
    texts
        .fold(Section::new("Mixed data"), Section::text)
        .table(Table::new(
            "Sets",
            "set | events | in the training region",
            each,
        ))
        .table(Table::new(
            "Observables of the mixed data",
            "uncertainty | events a set | beyond the bins | error over that of independent events",
            histograms,
        ))
        .table(Table::new(
            "Events that cannot be mixed",
            "reason | events | weight",
            refused,
        ))
        .table(Table::new(
            "Distances of replacements, quantiles by the place of the pair",
            "pair | 16 % | 50 % | 84 %",
            distances,
        ))
        .table(Table::new(
            "Pools",
            "selected | tagged | others | hemispheres | scale of p_{z} | along | across | mass",
            pools,
        ))
}
