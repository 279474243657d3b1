//! Job scripts, and what Slurm's commands say (22.05 and others).

use super::*;
use crate::error::Result;
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

fn script(settings: SlurmSettings, run: &str, arguments: &[String]) -> Result<String> {
    let job = BatchJob {
        program: Path::new("/opt/side band/sideband"),
        run: Path::new(run),
        working: Path::new("/data/$HOME"),
        folder: Path::new("/data/run/batch"),
        name: "run",
        arguments,
    };
    Slurm::new(settings)?.script(&job, &submission())
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
    let text = script(settings, "/data/my run", &["--threads".into(), "4".into()]).unwrap();
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
        let said = call(
            Command::new("bash").args(["-c", &format!("printf %s {}", shell(word))]),
            Patience::ask(ASK, &Interrupt::default()),
        )
        .unwrap();
        assert_eq!(said.out, word);
    }
}

#[test]
fn settings_that_would_be_read_as_more_are_refused() {
    type Change = fn(&mut SlurmSettings);
    let wrong: [(&str, Change); 20] = [
        ("partition", |s| s.partition = Some("a b".into())),
        ("partition", |s| {
            s.partition = Some("a\n#SBATCH -A x".into())
        }),
        ("account", |s| s.account = Some("$(id)".into())),
        ("qos", |s| s.qos = Some("".into())),
        ("constraint", |s| s.constraint = Some("a`id`".into())),
        ("time", |s| {
            s.time = Some(TimeLimit::Text("tomorrow".into()))
        }),
        ("time", |s| s.time = Some(TimeLimit::Text("1:2:3:4".into()))),
        ("time", |s| s.time = Some(TimeLimit::Minutes(3))),
        ("cpus", |s| s.cpus = 0),
        ("memory_mib", |s| s.memory_mib = Some(0)),
        ("setup", |s| s.setup = vec!["a\nb".into()]),
        ("options", |s| s.options = vec!["exclude=n".into()]),
        ("options", |s| s.options = vec!["--array=1-3".into()]),
        ("options", |s| s.options = vec!["-oelsewhere".into()]),
        ("options", |s| s.options = vec!["--no-requeue".into()]),
        ("options", |s| {
            s.options = vec!["--exclude=n --wrap=true".into()]
        }),
        ("options", |s| {
            s.partition = Some("short".into());
            s.options = vec!["-plong".into()];
        }),
        ("setup", |s| s.setup = vec!["#PBS -o elsewhere".into()]),
        ("setup", |s| s.setup = vec!["#SBATCH --array=1".into()]),
        ("setup", |s| s.setup = vec!["module load x \\".into()]),
    ];
    for (key, change) in wrong {
        let mut settings = SlurmSettings::default();
        change(&mut settings);
        let error = settings.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("executor.{key}:")), "{error}");
    }
    assert!(script(SlurmSettings::default(), "relative", &[]).is_err());
    assert!(script(SlurmSettings::default(), "/a", &["x\ny".into()]).is_err());
}

#[test]
fn times_are_slurms() {
    for (text, seconds) in [
        ("90", 5400),
        ("90:30", 5430),
        ("2:00:00", 7200),
        ("1-0", 86_400),
        ("1-12:30", 131_400),
        ("1-00:00:01", 86_401),
    ] {
        assert_eq!(
            TimeLimit::Text(text.into()).seconds(),
            Some(seconds),
            "{text}"
        );
    }
    for text in [
        "",
        "-",
        "1-",
        "x",
        "99999999999999999999",
        "9999999999999999999-0",
    ] {
        assert_eq!(TimeLimit::Text(text.into()).seconds(), None, "{text}");
    }
}

#[test]
fn settings_are_strict() {
    let settings: SlurmSettings = serde_json::from_str("{\"time\": 60, \"cpus\": 2}").unwrap();
    assert_eq!(settings.time, Some(TimeLimit::Minutes(60)));
    assert!(serde_json::from_str::<SlurmSettings>("{\"cpu\": 2}").is_err());
}

#[test]
fn numbers_of_jobs_are_read() {
    assert_eq!(parse_id("123\n").as_deref(), Some("123"));
    assert_eq!(parse_id("123;north\n").as_deref(), Some("123;north"));
    assert_eq!(
        parse_id("welcome to the cluster\n123\n\n").as_deref(),
        Some("123")
    );
    for nonsense in ["", "Submitted batch job 12", "12;a b", "12;", "x"] {
        assert_eq!(parse_id(nonsense), None, "{nonsense}");
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
                CLUSTER: north\n|||\n\u{fffd}14_|x\n";
    let tasks = parse_squeue(text, "14", &submission());
    let seen: Vec<_> = tasks.iter().map(|t| (t.block, t.activity)).collect();
    assert_eq!(
        seen,
        [
            (1005, Activity::Pending),
            (1006, Activity::Pending),
            (1000, Activity::Running)
        ]
    );
    assert_eq!(tasks[0].reason, "Nodes required for job are DOWN, DRAINED");
    assert_eq!(tasks[2].reason, "");
    for nonsense in [
        "",
        "slurm_load_jobs error",
        "14|14|14",
        "14_x|run-1a2b-2|RUNNING|",
    ] {
        assert!(parse_squeue(nonsense, "14", &submission()).is_empty());
    }
}

#[test]
fn states_are_alive_or_not() {
    assert_eq!(activity("PENDING", "JobHeldUser"), Some(Activity::Held));
    assert_eq!(
        activity("PENDING", "launch failed requeued held"),
        Some(Activity::Held)
    );
    assert_eq!(activity("SUSPENDED", ""), Some(Activity::Suspended));
    assert_eq!(activity("COMPLETING", "None"), Some(Activity::Running));
    assert_eq!(activity("SOMETHING_NEW", ""), Some(Activity::Running));
    assert_eq!(activity("NODE_FAIL", ""), None);
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
    let endings = parse_scontrol(text, &submission());
    let ending = |block, exit, signal, state: &str, cause| Ending {
        block,
        exit,
        signal,
        state: state.to_owned(),
        cause,
    };
    assert_eq!(
        endings,
        [
            ending(1001, Some(75), None, "FAILED", Cause::Program),
            ending(
                1005,
                None,
                Some(9),
                "FAILED (JobLaunchFailure)",
                Cause::System
            )
        ]
    );
    let text = "14_0|CANCELLED by 1000|0:15\n14_5|NODE_FAIL|1:0\n14_6|RUNNING|0:0\n14_1|x\n";
    assert_eq!(
        parse_sacct(text, "14", &submission()),
        [
            ending(1000, None, Some(15), "CANCELLED", Cause::Person),
            ending(1005, Some(1), None, "NODE_FAIL", Cause::System)
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
    let settings = SlurmSettings {
        account: Some("atlas".into()),
        ..SlurmSettings::default()
    };
    let slurm = Slurm::new(settings).unwrap();
    assert!(slurm.settings.replaces("ACCOUNT") && !slurm.settings.replaces("PARTITION"));
    for name in [
        "JOB_NAME",
        "OUTPUT",
        "NO_REQUEUE",
        "OPEN_MODE",
        "TIMELIMIT",
        "ARRAY_INX",
    ] {
        assert!(!DEFAULTS.contains(&name), "{name}");
    }
}
