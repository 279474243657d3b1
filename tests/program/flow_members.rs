//! A flow of an ensemble does not know its neighbours, nor that it was
//! interrupted: on a CPU to the bit, for the hand-written code and for tensor
//! operations. (Of the step alone: `models/networks/tests/flow.rs`.)

use crate::support::flows::{Job, KERNELS, bent, cpu, flow, settings};
use sideband::error::Result;
use sideband::training::{Checkpoint, Ledger, Member, Observer, Unit, steps_per_epoch};
use sideband_networks::FlowConfig;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Small enough to be trained often; with all that a member has of its own:
/// permutations, dropout, Poisson weights, and an end that depends on its losses.
fn job() -> Job {
    let network = FlowConfig {
        dropout: 0.2,
        ..flow(3, 2, 2)
    };
    let mut settings = settings(network, 6);
    settings.batch = 48;
    settings.patience = 1;
    settings.l2 = 1e-5;
    settings.bootstrap = true;
    Job::new(bent(3, 700, 3), settings)
}

fn alone(job: &Job, members: u32, compute: &sideband_networks::Compute) -> Vec<Member> {
    (0..members)
        .flat_map(|member| job.train(member..member + 1, compute, [1, 1]))
        .collect()
}

#[test]
fn a_member_alone_equals_the_member_in_a_stack() {
    let job = job();
    for kernels in KERNELS {
        let compute = cpu(kernels);
        let alone = alone(&job, 7, &compute);
        let epochs = |member: &Member| member.about.history.validation.len();
        // so that slots of a stack are taken over at different epochs
        let first = epochs(&alone[0]);
        assert!(alone.iter().any(|member| epochs(member) != first));
        for [threads, block] in [[1, 3], [2, 2], [1, 7]] {
            let together = job.train(0..7, &compute, [threads, block]);
            assert!(
                alone == together,
                "{kernels:?}, {threads} threads, stacks of {block}"
            );
        }
    }
}

/// Members with checkpoints in a folder, as in a run.
struct Kept {
    folder: tempfile::TempDir,
    queue: Mutex<VecDeque<Unit>>,
    finished: Mutex<Vec<Member>>,
    /// Steps that members had made when they went on.
    resumed: Mutex<Vec<u64>>,
}

impl Kept {
    fn new(members: u32) -> Self {
        let units = (0..members).map(|member| Unit { task: 0, member });
        Self {
            folder: tempfile::tempdir().unwrap(),
            queue: Mutex::new(units.collect()),
            finished: Mutex::default(),
            resumed: Mutex::default(),
        }
    }

    fn path(&self, unit: Unit) -> PathBuf {
        let name = format!("{}.safetensors", unit.member);
        self.folder.path().join(name)
    }
}

impl Ledger for Kept {
    fn next(&self) -> Option<Unit> {
        self.queue.lock().unwrap().pop_front()
    }

    fn missing(&self) -> usize {
        self.queue.lock().unwrap().len()
    }

    // to the end: it goes on beside others
    fn give_back(&self, unit: Unit) {
        self.queue.lock().unwrap().push_back(unit);
    }

    fn load(&self, unit: Unit) -> Option<Checkpoint> {
        let of = |member: u32| member == unit.member;
        let found = Checkpoint::newest(&self.path(unit), |about| of(about.member))?;
        self.resumed.lock().unwrap().push(found.about.clock.steps());
        Some(found)
    }

    fn save(&self, unit: Unit, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.path(unit))
    }

    fn finish(&self, unit: Unit, member: &Member) -> Result<()> {
        Checkpoint::remove(&self.path(unit));
        self.finished.lock().unwrap().push(member.clone());
        Ok(())
    }
}

/// Asks to stop after so many pieces of an epoch.
struct Impatient(AtomicUsize);

impl Observer for Impatient {
    fn interrupted(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
    fn trained(&self, _: &str, _: u64) {
        let down = |left: usize| Some(left.saturating_sub(1));
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, down);
    }
    fn finished(&self, _: &Member) {}
}

#[test]
fn an_interrupted_member_equals_one_that_was_not() {
    const MEMBERS: u32 = 5;
    let job = job();
    let epoch = steps_per_epoch(&job.task()) as u64;
    for kernels in KERNELS {
        let compute = cpu(kernels);
        let undisturbed = alone(&job, MEMBERS, &compute);
        let kept = Kept::new(MEMBERS);
        let mut sessions = 0;
        while kept.missing() > 0 {
            sessions += 1;
            assert!(sessions < 100, "every session trains something");
            let observer = Impatient(AtomicUsize::new(1 + sessions % 3));
            job.train_from(&kept, &observer, &compute, [1, 2]);
        }
        let resumed = kept.resumed.into_inner().unwrap();
        let within = resumed.iter().filter(|step| !step.is_multiple_of(epoch));
        assert!(
            within.count() >= MEMBERS as usize,
            "interrupted within epochs of {epoch} steps: {resumed:?}"
        );
        let mut finished = kept.finished.into_inner().unwrap();
        finished.sort_by_key(|member| member.about.member);
        assert!(finished == undisturbed, "{kernels:?}");
    }
}

#[test]
fn a_member_file_holds_all_of_a_flow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("member.safetensors");
    let member = job().train(0..1, &cpu(KERNELS[0]), [1, 1]).swap_remove(0);
    member.write(&path).unwrap();
    assert_eq!(Member::read(&path).unwrap(), member);
}
