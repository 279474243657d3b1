//! Job scripts, and what Slurm's commands say (22.05 and others).

use super::*;
use crate::training::Interrupt;
use std::path::Path;

fn submission() -> Submission {
    Submission {
        number: 2,
        name: "run-1a2b-2".to_owned(),
        id: Some("14".to_owned()),
        base: 1000,
        blocks: vec![1000, 1001, 1005, 1006],
    }
}

fn slurm(settings: SlurmSettings) -> Slurm {
    Slurm {
        settings,
        interrupt: Interrupt::default(),
    }
}

fn script(settings: SlurmSettings, run: &str, arguments: &[&str]) -> Result<String> {
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let job = BatchJob::of_test(run, Path::new("/data/run/batch"), &arguments);
    let lines = slurm(settings).script(&job, &submission())?;
    Ok(lines.join("\n") + "\n")
}

#[test]
fn a_script_says_what_is_asked_for() {
    let settings = SlurmSettings {
        partition: Some("short,long".to_owned()),
        account: Some("atlas".to_owned()),
        qos: Some("normal".to_owned()),
        constraint: Some("avx512&(haswell|rome)".to_owned()),
        time: Some(TimeLimit::Text("1-12:00".to_owned())),
        cpus: 4,
        memory_mib: Some(2000),
        gpus: 1,
        setup: vec!["module load cuda".to_owned()],
        options: vec!["--exclude=node[1-3]".to_owned()],
        ..SlurmSettings::default()
    };
    let text = script(settings, "/data/my run", &["--threads", "4"]).unwrap();
    let expected = r#"#!/bin/bash
# Submission 2 of a run: task i trains block 1000 + i.
#SBATCH --job-name=run-1a2b-2
#SBATCH --nodes=1 --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --signal=B:TERM@120
#SBATCH --requeue --open-mode=append
#SBATCH --partition=short,long
#SBATCH --account=atlas
#SBATCH --qos=normal
#SBATCH --constraint=avx512&(haswell|rome)
#SBATCH --time=1-12:00
#SBATCH --mem=2000M
#SBATCH --gres=gpu:1
#SBATCH --exclude=node[1-3]
cd -- '/data/$HOME' || exit 70
set -e
module load cuda
exec '/opt/side band/sideband' worker '/data/my run' --block "$((SLURM_ARRAY_TASK_ID + 1000))" '--threads' '4'
"#;
    assert_eq!(text, expected);
}

#[test]
fn a_shell_reads_the_words_as_they_are() {
    for word in [
        "a b",
        "it's",
        "$HOME `id` $(id) \"x\"",
        "*;&|<>",
        "'",
        "''\\''",
    ] {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("printf %s {}", shell(word))]);
        let said = slurm(SlurmSettings::default()).ask(ASK, &mut command);
        assert_eq!(said.unwrap().out, word);
    }
    assert!(script(SlurmSettings::default(), "relative", &[]).is_err());
    assert!(script(SlurmSettings::default(), "/a", &["x\ny"]).is_err());
}

#[test]
fn numbers_of_jobs_are_read() {
    for (text, id) in [
        ("123\n", Some("123")),
        ("123;north\n", Some("123;north")),
        ("welcome to the cluster\n123\n\n", Some("123")),
        ("", None),
        ("Submitted batch job 12", None),
        ("12;a b", None),
        ("12;", None),
        ("12@north", None),
        ("x", None),
    ] {
        assert_eq!(parse_id(text).as_deref(), id, "{text}");
    }
}

#[test]
fn squeue_is_read() {
    let text = "14_[5-6%2]|run-1a2b-2|PENDING|Nodes required for job are DOWN, DRAINED\n\
                14_0|run-1a2b-2|RUNNING|None\n\
                14_1|run-1a2b-2|FAILED|NonZeroExitCode\n\
                141_0|other|RUNNING|None\n\
                14_7|run-1a2b-2|RUNNING|None\n\
                14_0|somebody else's|RUNNING|None\n\
                CLUSTER: north\n|||\n\u{fffd}14_|x\n\
                slurm_load_jobs error\n14|14|14\n14_x|run-1a2b-2|RUNNING|\n";
    let tasks = parse_squeue(text, &submission());
    let seen: Vec<_> = tasks
        .iter()
        .map(|t| (t.block, t.activity, t.reason.as_str()))
        .collect();
    let reason = "Nodes required for job are DOWN, DRAINED";
    let (pending, running) = (Activity::Pending, Activity::Running);
    assert_eq!(
        seen,
        [
            (1005, pending, reason),
            (1006, pending, reason),
            (1000, running, "")
        ]
    );
}

#[test]
fn states_are_alive_or_not() {
    for (state, reason, expected) in [
        ("PENDING", "JobHeldUser", Some(Activity::Held)),
        (
            "PENDING",
            "launch failed requeued held",
            Some(Activity::Held),
        ),
        ("SUSPENDED", "", Some(Activity::Suspended)),
        ("COMPLETING", "None", Some(Activity::Running)),
        ("SOMETHING_NEW", "", Some(Activity::Running)),
        ("NODE_FAIL", "", None),
    ] {
        assert_eq!(activity(state, reason), expected, "{state}");
    }
}

#[test]
fn endings_are_read() {
    let text = "JobId=15 ArrayJobId=14 ArrayTaskId=1 JobName=run-1a2b-2 UserId=u(1) \
                JobState=FAILED Reason=NonZeroExitCode ExitCode=75:0 Command=/a b\n\
                JobId=16 ArrayJobId=14 ArrayTaskId=5 JobName=run-1a2b-2 JobState=FAILED \
                Reason=JobLaunchFailure ExitCode=0:9\n\
                JobId=17 ArrayJobId=14 ArrayTaskId=6 JobName=run-1a2b-2 JobState=RUNNING \
                Reason=None ExitCode=0:0\n\
                JobId=18 ArrayTaskId=0 JobName=other JobState=FAILED ExitCode=1:0\n\
                \n=\nArrayTaskId=9-12 JobState=PENDING\nslurm_load_jobs error\n";
    let ending = |block, [exit, signal]: [Option<i32>; 2], state: &str, cause| Ending {
        block,
        exit,
        signal,
        state: state.to_owned(),
        cause,
    };
    let launch = "FAILED (JobLaunchFailure)";
    assert_eq!(
        parse_scontrol(text, &submission()),
        [
            ending(1001, [Some(75), None], "FAILED", Cause::Program),
            ending(1005, [None, Some(9)], launch, Cause::System)
        ]
    );
    let text = "14_0|CANCELLED by 1000|0:15\n14_5|NODE_FAIL|1:0\n14_6|RUNNING|0:0\n14_1|x\n";
    assert_eq!(
        parse_sacct(text, &submission()),
        [
            ending(1000, [None, Some(15)], "CANCELLED", Cause::Person),
            ending(1005, [Some(1), None], "NODE_FAIL", Cause::System)
        ]
    );
}

#[test]
fn only_jobs_of_the_name_the_number_and_the_user_are_cancelled() {
    let text = "14_3|run-1a2b-2|PENDING|None|1000\n\
                14_4|run-1a2b-2|RUNNING|a|b|1000\n\
                15_1|run-1a2b-2|RUNNING|None|1000\n\
                14_5|other|RUNNING|None|1000\n\
                16|run-1a2b-2|RUNNING|None|2000\n\
                --me|run-1a2b-2|RUNNING|None|1000\n\
                nonsense\n";
    let own = |id, user| own_jobs(text, id, "run-1a2b-2", user);
    assert_eq!(own(Some("14"), Some("1000")), ["14"]);
    assert_eq!(own(None, Some("1000")), ["14", "15"]);
    assert_eq!(own(Some("16"), Some("1000")), [""; 0]);
    assert_eq!(own(None, None), ["14", "15", "16"]);
}

#[test]
fn the_environment_does_not_win_over_settings() {
    let slurm = slurm(SlurmSettings {
        account: Some("atlas".into()),
        ..SlurmSettings::default()
    });
    assert!(!slurm.is_taken_away("PARTITION"));
    for name in [
        "ACCOUNT",
        "JOB_NAME",
        "OUTPUT",
        "NO_REQUEUE",
        "OPEN_MODE",
        "TIMELIMIT",
        "ARRAY_INX",
    ] {
        assert!(slurm.is_taken_away(name), "{name}");
    }
}
