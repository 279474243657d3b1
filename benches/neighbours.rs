//! Exact nearest neighbours of hemispheres among those of other events, all in one pool, beside
//! `scripts/peers/neighbours.py`, which makes the file and finds them with scipy and scikit-learn.
//!
//!     scripts/peers/neighbours.py make halves.f64
//!     cargo bench --bench neighbours -- halves.f64 [--halves 1000000] [--neighbours 20]
//!         [--threads 2] [--rounds 3]
//!
//! A round makes the tree and finds the neighbours of every half. Ties would be broken by row. The
//! checksum is of the rows that are found, in their order.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use rayon::prelude::*;
use serde_json::json;
use sideband::mixing::Tree;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first().filter(|name| !name.starts_with("--")) else {
        println!("usage: neighbours FILE [--halves N] [--neighbours K] [--threads T] [--rounds R]");
        return;
    };
    let option = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        place.map_or(default, |place| arguments[place + 1].parse().unwrap())
    };
    let (halves, neighbours) = (option("--halves", 1_000_000), option("--neighbours", 20));
    let (threads, rounds) = (option("--threads", 2), option("--rounds", 3));
    let points = read(file, halves);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let mut seconds = Vec::new();
    let mut building = Vec::new();
    let mut checksum = 0;
    for _ in 0..rounds {
        let all = points.clone();
        let start = Instant::now();
        let tree = Tree::new(all, [1.0; 4]);
        building.push(start.elapsed().as_secs_f64());
        checksum = pool.install(|| found(&tree, &points, neighbours));
        seconds.push(start.elapsed().as_secs_f64());
    }
    let median = |list: &[f64]| {
        let mut sorted = list.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let line = json!({
        "halves_per_s": (points.len() as f64 / median(&seconds)).round(),
        "impl": "sideband",
        "halves": points.len(),
        "neighbours": neighbours,
        "threads": threads,
        "building": median(&building),
        "seconds": seconds,
        "checksum": format!("{checksum:016x}"),
    });
    println!("{line}");
}

/// Rows of four features, in units of their standard deviations; halves of one event follow one
/// another.
fn read(file: &str, halves: usize) -> Vec<([f64; 4], usize)> {
    let bytes = std::fs::read(file).unwrap();
    let number = |eight: &[u8]| f64::from_le_bytes(eight.try_into().unwrap());
    let row = |(row, bytes): (usize, &[u8])| {
        let mut numbers = bytes.chunks_exact(8).map(number);
        ([(); 4].map(|()| numbers.next().unwrap()), row)
    };
    let rows = bytes.chunks_exact(32).take(halves).enumerate();
    rows.map(row).collect()
}

/// The sum modulo 2^64 of every row that is found, times its place from 1 among those of a half
/// and the half's from 1.
fn found(tree: &Tree, points: &[([f64; 4], usize)], neighbours: usize) -> u64 {
    let of_half = |(point, own): &([f64; 4], usize)| {
        let found = tree.nearest(point, neighbours, |row| row / 2 != own / 2);
        let rows = found.iter().map(|(_, row)| *row as u64).zip(1_u64..);
        let sum = rows.fold(0_u64, |sum, (row, place)| {
            sum.wrapping_add(row.wrapping_mul(place))
        });
        sum.wrapping_mul(*own as u64 + 1)
    };
    points
        .par_iter()
        .map(of_half)
        .reduce(|| 0, u64::wrapping_add)
}
