//! Claims against each other.

use super::*;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(600);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Puts a token of another worker, of a given age.
fn put(folder: &TempDir, block: u32, worker: &WorkerId, n: u64, age: Duration) -> PathBuf {
    let path = folder
        .path()
        .join(format!("block_{block:05}.{worker}_{n}.held"));
    fs::write(&path, "{}").unwrap();
    set_age(&path, age);
    path
}

fn set_age(path: &Path, age: Duration) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Names in the folder, but for the clock.
fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".clock")
        .collect();
    names.sort();
    names
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end, "waited in vain");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Every block once, from all threads of both.
fn race(folder: &TempDir, blocks: u32) {
    let both = [0, 1].map(|_| Claims::open(folder.path(), LONG).unwrap());
    let won = Mutex::new(Vec::new());
    let start = std::sync::Barrier::new(8);
    thread::scope(|scope| {
        for i in 0..8 {
            let (claims, won, start) = (&both[i % 2], &won, &start);
            scope.spawn(move || {
                start.wait();
                for block in 0..blocks {
                    if let Some(claim) = claims.claim(block).unwrap() {
                        won.lock().unwrap().push(claim);
                    }
                }
            });
        }
    });
    let won = won.into_inner().unwrap();
    let different: BTreeSet<_> = won.iter().map(Claim::block).collect();
    assert_eq!(won.len(), different.len());
    assert_eq!(different.len(), blocks as usize);
    assert_eq!(names(folder).len(), blocks as usize);
    assert!(both[0].holders().unwrap().iter().all(|h| h.is_alive));
    for claim in won {
        assert!(!claim.is_lost());
        claim.finish().unwrap();
    }
    assert!(names(folder).is_empty());
}

#[test]
fn each_block_without_a_token_is_claimed_once() {
    race(&folder(), 200);
}

#[test]
fn each_open_block_is_claimed_once() {
    let folder = folder();
    for block in 0..200 {
        fs::write(folder.path().join(format!("block_{block:05}.open")), "").unwrap();
    }
    race(&folder, 200);
}

#[test]
fn each_stale_block_is_claimed_once() {
    let folder = folder();
    let other = WorkerId::unique().elsewhere();
    for block in 0..200 {
        put(&folder, block, &other, u64::from(block), 2 * LONG);
    }
    race(&folder, 200);
}

#[test]
fn a_block_is_never_with_two_while_it_goes_round() {
    let folder = folder();
    let both = [0, 1].map(|_| Claims::open(folder.path(), LONG).unwrap());
    let inside = [const { AtomicBool::new(false) }; 3];
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        for i in 0..6 {
            let (claims, inside, count) = (&both[i % 2], &inside, &count);
            scope.spawn(move || {
                for turn in 0..600 {
                    let block = (i + turn) % 3;
                    let Some(claim) = claims.claim(block as u32).unwrap() else {
                        continue;
                    };
                    assert!(!inside[block].swap(true, Ordering::SeqCst));
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    inside[block].store(false, Ordering::SeqCst);
                    if turn % 2 == 0 {
                        claim.finish().unwrap();
                    }
                }
            });
        }
    });
    assert!(count.into_inner() > 100);
}

#[test]
fn dropping_opens_and_finishing_removes() {
    let folder = folder();
    let (a, b) = (
        Claims::open(folder.path(), LONG).unwrap(),
        Claims::open(folder.path(), LONG).unwrap(),
    );
    let claim = a.claim(12).unwrap().unwrap();
    assert_eq!(claim.block(), 12);
    let content = fs::read_to_string(&claim.held.path).unwrap();
    let content: serde_json::Value = serde_json::from_str(&content).unwrap();
    assert_eq!(content["worker"], a.worker().to_string());
    assert_eq!(content["pid"], std::process::id());
    assert!(a.claim(12).unwrap().is_none());
    assert!(b.claim(12).unwrap().is_none());
    assert_eq!(
        names(&folder),
        [format!("block_00012.{}_0.held", a.worker())]
    );
    let holders = b.holders().unwrap();
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].block, 12);
    assert_eq!(holders[0].worker, a.worker().to_string());
    assert!(holders[0].is_alive && holders[0].age < LONG);
    drop(claim);
    assert_eq!(names(&folder), ["block_00012.open"]);
    assert!(b.holders().unwrap().is_empty());
    let claim = b.claim(12).unwrap().unwrap();
    let content = fs::read_to_string(&claim.held.path).unwrap();
    assert!(content.contains(&b.worker().to_string()));
    claim.finish().unwrap();
    assert!(names(&folder).is_empty());
    a.claim(12).unwrap().unwrap();
}

#[test]
fn an_old_open_token_is_fresh_once_it_is_claimed() {
    let folder = folder();
    let open = folder.path().join("block_00001.open");
    fs::write(&open, "").unwrap();
    set_age(&open, 2 * LONG);
    let a = Claims::open(folder.path(), LONG).unwrap();
    let b = Claims::open(folder.path(), LONG).unwrap();
    let _claim = a.claim(1).unwrap().unwrap();
    assert!(b.claim(1).unwrap().is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn the_block_of_a_killed_process_is_taken_at_once() {
    let folder = folder();
    let claims = Claims::open(folder.path(), LONG).unwrap();
    let mut child = Command::new("sleep")
        .arg("600")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let worker = WorkerId::unique().with_process(child.id());
    let token = put(&folder, 7, &worker, 3, Duration::ZERO);
    // it died while it made a token
    let new = folder.path().join("block_00008.new");
    fs::write(&new, json!({ "worker": worker.to_string() }).to_string()).unwrap();
    assert!(claims.claim(7).unwrap().is_none());
    assert!(claims.claim(8).unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!claims.holders().unwrap()[0].is_alive);
    let _seven = claims.claim(7).unwrap().unwrap();
    let _eight = claims.claim(8).unwrap().unwrap();
    assert!(!token.exists() && !new.exists());
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn the_block_of_another_host_is_taken_when_its_token_is_old() {
    let folder = folder();
    let claims = Claims::open(folder.path(), LONG).unwrap();
    let other = WorkerId::unique().elsewhere();
    let token = put(&folder, 7, &other, 0, LONG / 2);
    assert!(claims.claim(7).unwrap().is_none());
    set_age(&token, LONG * 2);
    assert!(!claims.holders().unwrap()[0].is_alive);
    // its heartbeat comes at the last moment
    set_age(&token, Duration::ZERO);
    assert!(claims.claim(7).unwrap().is_none());
    set_age(&token, LONG * 2);
    let claim = claims.claim(7).unwrap().unwrap();
    assert!(!token.exists());
    let age = modified(&claim.held.path).unwrap().elapsed();
    assert!(age.unwrap_or_default() < LONG / 2);
    // two were at a block and both died
    put(&folder, 8, &other, 1, LONG * 2);
    put(&folder, 8, &other, 2, LONG * 2);
    let _eight = claims.claim(8).unwrap().unwrap();
    // one of two lives
    put(&folder, 9, &other, 3, LONG * 2);
    put(&folder, 9, &other, 4, LONG / 2);
    assert!(claims.claim(9).unwrap().is_none());
    assert_eq!(names(&folder).len(), 4);
}

#[test]
fn a_lock_left_behind_is_taken_when_it_is_old() {
    let folder = folder();
    let claims = Claims::open(folder.path(), LONG).unwrap();
    let other = WorkerId::unique().elsewhere();
    let signed = json!({ "worker": other.to_string() }).to_string();
    // before and after the other wrote its name
    for (block, content, limit) in [(3, "", UNSIGNED), (4, signed.as_str(), LONG)] {
        let new = folder.path().join(format!("block_{block:05}.new"));
        fs::write(&new, content).unwrap();
        assert!(claims.claim(block).unwrap().is_none());
        set_age(&new, 2 * limit);
        claims.claim(block).unwrap().unwrap().finish().unwrap();
        assert!(names(&folder).is_empty());
    }
    // it stopped as it saw another's token
    put(&folder, 5, &other, 0, Duration::ZERO);
    let new = folder.path().join("block_00005.new");
    fs::write(&new, "").unwrap();
    set_age(&new, 2 * UNSIGNED);
    assert!(claims.claim(5).unwrap().is_none());
    assert_eq!(names(&folder).len(), 1);
}

#[test]
fn a_token_that_was_given_back_is_not_mistaken_for_a_later_one() {
    let folder = folder();
    let slow = Claims::open(folder.path(), LONG).unwrap();
    let other = Claims::open(folder.path(), LONG).unwrap();
    // the slow one sees a stale token ...
    let first = other.claim(5).unwrap().unwrap();
    set_age(&first.held.path, 2 * LONG);
    let seen = list(folder.path()).unwrap()[&5].clone();
    assert_eq!(
        slow.shared
            .is_stale(seen[0].worker.as_ref(), &seen[0].path, LONG)
            .unwrap(),
        Some(true)
    );
    // ... which its owner gives back and claims again before the rename
    drop(first);
    let second = other.claim(5).unwrap().unwrap();
    let mine = folder.path().join("mine");
    assert!(!slow.shared.seize(&seen[0].path, &mine).unwrap());
    other.shared.beat();
    assert!(!second.is_lost());
    assert!(slow.claim(5).unwrap().is_none());
}

#[test]
fn who_lost_a_claim_knows_and_does_not_disturb_the_new_owner() {
    let folder = folder();
    let beat = Duration::from_millis(20);
    let slow = Claims::with_beat(folder.path(), LONG, LONG).unwrap();
    let other = Claims::with_beat(folder.path(), LONG, beat).unwrap();
    let lost = [1, 2].map(|block| slow.claim(block).unwrap().unwrap());
    for claim in &lost {
        set_age(&claim.held.path, 2 * LONG);
    }
    let taken = [1, 2].map(|block| other.claim(block).unwrap().unwrap());
    slow.shared.beat();
    assert!(lost.iter().all(Claim::is_lost));
    let [one, two] = lost;
    drop(one);
    two.finish().unwrap();
    thread::sleep(5 * beat);
    assert!(!taken.iter().any(Claim::is_lost));
    assert_eq!(names(&folder).len(), 2);
    assert!(slow.claim(1).unwrap().is_none());
}

#[test]
fn a_heartbeat_keeps_a_claim_until_the_last_claim_is_gone() {
    let folder = folder();
    let stale = Duration::from_secs(3);
    let a = Claims::with_beat(folder.path(), stale, stale / 60).unwrap();
    let b = Claims::open(folder.path(), stale).unwrap();
    let claim = a.claim(1).unwrap().unwrap();
    drop(a);
    let end = Instant::now() + stale * 3 / 2;
    while Instant::now() < end {
        assert!(b.claim(1).unwrap().is_none());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!claim.is_lost());
    let shared = Arc::downgrade(&claim.shared);
    drop(claim);
    // the thread was joined, and nothing else has the shared part
    assert!(shared.upgrade().is_none());
    // a process that stops for good, on another host
    let other = WorkerId::unique().elsewhere();
    put(&folder, 2, &other, 0, Duration::ZERO);
    assert!(b.claim(2).unwrap().is_none());
    wait_for(|| b.claim(2).unwrap().is_some());
}

#[test]
fn what_is_not_a_token_is_passed_over() {
    let folder = folder();
    let claims = Claims::open(folder.path(), LONG).unwrap();
    let worker = claims.worker().to_string();
    for name in [
        "notes.txt".to_owned(),
        "block_".to_owned(),
        "block_00001".to_owned(),
        "block_1.open".to_owned(),
        "block_-0001.open".to_owned(),
        "block_00001.held".to_owned(),
        "block_00001..held".to_owned(),
        "block_00001.someone.held".to_owned(),
        format!("block_00001.{worker}.held"),
        format!("block_00001.{worker}_x.held"),
        format!("block_99999999999.{worker}_0.held"),
        format!("block_00001.{worker}_0.held.tmp"),
    ] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"block_00001.\xff.held");
        fs::write(folder.path().join(name), "x").unwrap();
    }
    assert!(claims.holders().unwrap().is_empty());
    let claim = claims.claim(1).unwrap().unwrap();
    assert_eq!(claims.holders().unwrap().len(), 1);
    claim.finish().unwrap();
    assert_eq!(names(&folder).len(), 14);
    assert_eq!(parse("block_123456.open").unwrap().0, 123_456);
}

#[test]
fn errors_of_the_file_system_are_passed_on() {
    let folder = folder();
    let path = folder.path().join("claims");
    let claims = Claims::open(&path, LONG).unwrap();
    fs::remove_dir_all(&path).unwrap();
    assert!(claims.claim(1).is_err());
    assert!(holders(&path, LONG).unwrap().is_empty());
    fs::create_dir(&path).unwrap();
    // the failed claim left nothing behind
    claims.claim(1).unwrap().unwrap().finish().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Claims::open(&file, LONG).is_err());
    assert!(holders(&file, LONG).is_err());
}

#[test]
fn walking_past_many_held_blocks_does_not_list_for_each() {
    let folder = folder();
    let other = WorkerId::unique().elsewhere();
    for block in 0..3000 {
        put(&folder, block, &other, u64::from(block), Duration::ZERO);
    }
    let claims = Claims::open(folder.path(), LONG).unwrap();
    assert!(claims.claim(0).unwrap().is_none());
    lock(&claims.shared.seen).insert(u32::MAX, Vec::new());
    for block in 0..3000 {
        assert!(claims.claim(block).unwrap().is_none());
    }
    // the listing is still the first one
    assert!(lock(&claims.shared.seen).contains_key(&u32::MAX));
}

#[test]
fn a_token_whose_date_lies_ahead_ages_from_when_it_is_met() {
    let folder = folder();
    let stale = Duration::from_secs(3);
    let claims = Claims::open(folder.path(), stale).unwrap();
    let other = WorkerId::unique().elsewhere();
    let token = put(&folder, 1, &other, 0, Duration::ZERO);
    let ahead = |path: &Path| {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() + 1000 * LONG).unwrap();
    };
    ahead(&token);
    // it says nothing about its worker
    assert!(!claims.holders().unwrap()[0].is_alive);
    assert!(claims.claim(1).unwrap().is_none());
    assert!(modified(&token).unwrap() < SystemTime::now() + LONG);
    // a worker that lives, and whose clock is ahead, keeps its claim
    ahead(&token);
    thread::sleep(stale / 2);
    assert!(claims.claim(1).unwrap().is_none());
    wait_for(|| claims.claim(1).unwrap().is_some());
}
