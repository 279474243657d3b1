//! Parquet to training arrays, beside `scripts/peers/read_parquet.py`, which makes
//! the file and says what is selected and what the checksum is; with `--whole` all
//! columns of all events, of a ROOT file beside `scripts/peers/read_root.py`.
//!
//!     scripts/peers/read_parquet.py make events.parquet
//!     cargo bench --bench read_parquet -- events.parquet [--threads 2] [--rounds 5]
//!
//! A round opens the file, compiles the expressions and scans; it yields ids, keys
//! and places of the events and looks for duplicates too.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use sideband::events::{Compiled, Dataset, EventTable, Hidden, Resolver, ScanRequest};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first().filter(|name| !name.starts_with("--")) else {
        println!("usage: read_parquet FILE [--threads T] [--rounds R]");
        return;
    };
    let option = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        place.map_or(default, |place| arguments[place + 1].parse().unwrap())
    };
    let (threads, rounds) = (option("--threads", 2), option("--rounds", 5));
    let whole = arguments.iter().any(|argument| argument == "--whole");
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let (mut seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..rounds {
        drop(last.take());
        let (start, cpu_start) = (Instant::now(), cpu_ticks());
        last = Some(pool.install(|| read(file, whole)));
        seconds.push(start.elapsed().as_secs_f64());
        let ticks = cpu_ticks().zip(cpu_start).map(|(end, start)| end - start);
        cpu_seconds.push(ticks.map(|ticks| ticks as f64 / 100.0));
    }
    let table = last.unwrap();
    let mut sorted = seconds.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let rows = table.report.rows_read as f64;
    let line = json!({
        "rows_per_s": (rows / sorted[rounds / 2]).round(),
        "impl": "sideband",
        "threads": threads,
        "peak_mib": peak_mib(),
        "seconds": seconds.iter().map(|s| (s * 1e3).round() / 1e3).collect::<Vec<_>>(),
        "cpu_seconds": cpu_seconds,
        "selected": table.len(),
        "checksum": format!("{:016x}", checksum(&table)),
    });
    println!("{line}");
}

fn read(file: &str, whole: bool) -> EventTable {
    let dataset = Dataset::open(&[file.to_owned()], Path::new("")).unwrap();
    let resolver = Resolver::new(dataset.columns(), &BTreeMap::new()).unwrap();
    let named =
        |text: &str| -> (String, Compiled) { (text.to_owned(), resolver.compile(text).unwrap()) };
    if whole {
        let names = dataset.columns().iter().map(|column| named(&column.name));
        let request = ScanRequest {
            features: names.collect(),
            ..ScanRequest::new(Hidden::nothing())
        };
        return dataset.scan(&request, None).unwrap();
    }
    let request = ScanRequest {
        selection: Some(resolver.compile("in_region && x0 > -1").unwrap()),
        features: (0..12).map(|d| named(&format!("x{d}"))).collect(),
        flags: vec![named("category < 2"), named("category >= 2")],
        weight: Some(resolver.compile("weight").unwrap()),
        ..ScanRequest::new(Hidden::nothing())
    };
    dataset.scan(&request, None).unwrap()
}

/// The sum modulo 2^64 of every array's bits, each times its place from 1.
fn checksum(table: &EventTable) -> u64 {
    fn sum(bits: impl Iterator<Item = u64>) -> u64 {
        bits.zip(1_u64..)
            .fold(0, |sum, (x, place)| sum.wrapping_add(x.wrapping_mul(place)))
    }
    sum(table.features.iter().map(|x| u64::from(x.to_bits())))
        .wrapping_add(sum(table.weights.iter().map(|x| x.to_bits())))
        .wrapping_add(sum(table.flags.iter().copied()))
}

/// Processor time of all threads so far, in hundredths of a second.
fn cpu_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in parentheses: state, ten others, user time, system time.
    let fields = stat.rsplit_once(") ")?.1.split_whitespace();
    let times: Option<Vec<u64>> = fields.skip(11).take(2).map(|x| x.parse().ok()).collect();
    Some(times?.iter().sum())
}

/// The most memory that the process has held.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}
