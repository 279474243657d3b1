//! Submit descriptions, and what HTCondor's commands say.

use super::*;
use crate::training::Interrupt;
use serde_json::json;
use std::path::Path;

fn submission() -> Submission {
    Submission {
        number: 3,
        name: "run-1a2b-3".to_owned(),
        id: Some("123@schedd.example.org".to_owned()),
        base: 0,
        blocks: vec![2, 1007],
    }
}

fn description(settings: HtcondorSettings, run: &str) -> Result<String> {
    let arguments = ["--threads", "4"].map(ToOwned::to_owned);
    let job = BatchJob::of_test(run, Path::new("/data/my $run/batch"), &arguments);
    let htcondor = Htcondor {
        settings,
        interrupt: Interrupt::default(),
    };
    Ok(htcondor.description(&job, &submission())?.join("\n") + "\n")
}

#[test]
fn a_description_says_what_is_asked_for() {
    let settings = HtcondorSettings {
        cpus: 4,
        memory_mib: Some(2000),
        gpus: 1,
        requirements: Some("OpSysAndVer =?= \"AlmaLinux9\"".to_owned()),
        max_seconds: Some(3600),
        options: vec!["+MaxRuntime = 7200".to_owned()],
    };
    let text = description(settings, "/data/it's my \"$run\"").unwrap();
    let expected = r#"# Submission 3 of a run: a job a block.
universe = vanilla
executable = /opt/side band/sideband
transfer_executable = false
should_transfer_files = NO
arguments = "worker '/data/it''s my ""$(DOLLAR)run""' --block $(block) --time-limit 3600 '--threads' '4'"
initialdir = /data/$(DOLLAR)HOME
output = /data/my $(DOLLAR)run/batch/job_0003_$(block).out
error = /data/my $(DOLLAR)run/batch/job_0003_$(block).out
log = /data/my $(DOLLAR)run/batch/job_0003.log
batch_name = run-1a2b-3
My.SidebandBlock = $(block)
request_cpus = 4
kill_sig = SIGTERM
job_max_vacate_time = 120
on_exit_remove = (ExitBySignal =?= false && ExitCode =!= 75) || NumJobStarts >= 50
request_memory = 2000M
request_gpus = 1
requirements = OpSysAndVer =?= "AlmaLinux9"
+MaxRuntime = 7200
queue block from (
2
1007
)
"#;
    assert_eq!(text, expected);
    assert!(description(HtcondorSettings::default(), "relative").is_err());
}

#[test]
fn numbers_of_jobs_are_read() {
    for (text, cluster) in [
        ("123.0 - 123.9\n", Some("123")),
        ("note\n7.0\n", Some("7")),
        ("", None),
        ("1 job(s) submitted to cluster 5.", None),
        ("a.b", None),
        ("12", None),
        (".0", None),
    ] {
        assert_eq!(parse_cluster(text).as_deref(), cluster, "{text}");
    }
    for (id, expected) in [
        ("s1@host.org#123.0#1600000000", "123@s1@host.org"),
        ("a b#1", "123"),
    ] {
        assert_eq!(with_schedd(123, &[json!({ "GlobalJobId": id })]), expected);
    }
    assert_eq!(split("123@s1@host.org"), ("123", Some("s1@host.org")));
}

#[test]
fn condor_q_is_read() {
    let text = json!([
        {"JobBatchName": "run-1a2b-3", "SidebandBlock": 2, "JobStatus": 5,
         "HoldReason": "memory exceeded"},
        {"JobBatchName": "run-1a2b-3", "SidebandBlock": 1007, "JobStatus": 1},
        {"JobBatchName": "run-1a2b-3", "SidebandBlock": 1007, "JobStatus": 4},
        {"JobBatchName": "other", "SidebandBlock": 2, "JobStatus": 2},
        {"JobBatchName": "run-1a2b-3", "SidebandBlock": -1, "JobStatus": 2},
        {"JobBatchName": 3}, 7, null
    ])
    .to_string();
    let jobs = parse_jobs(&text).unwrap();
    assert_eq!(
        tasks(&jobs, &submission()),
        [
            TaskState {
                block: 2,
                activity: Activity::Held,
                reason: "memory exceeded".to_owned()
            },
            TaskState {
                block: 1007,
                activity: Activity::Pending,
                reason: String::new()
            }
        ]
    );
    assert_eq!(parse_jobs(" \n"), Some(Vec::new()));
    for nonsense in ["-- Failed to fetch ads", "{}", "[", "null"] {
        assert_eq!(parse_jobs(nonsense), None, "{nonsense}");
    }
}

#[test]
fn endings_are_read() {
    let jobs = [
        json!({"JobBatchName": "run-1a2b-3", "SidebandBlock": 2, "JobStatus": 4,
               "ExitBySignal": false, "ExitCode": 75}),
        json!({"JobBatchName": "run-1a2b-3", "SidebandBlock": 1007, "JobStatus": 3,
               "ExitBySignal": false, "ExitCode": 0, "RemoveReason": "via condor_rm"}),
    ];
    let endings = endings(&jobs, &submission());
    assert_eq!(endings[0].exit, Some(75));
    assert_eq!(endings[1].cause, Cause::Person);
    assert_eq!(endings[1].state, "removed: via condor_rm");
}

/// HTCondor's own parser, where its Python package is installed; the text itself
/// is held fast above, and was accepted by htcondor 25.14.1.
#[test]
fn htcondors_own_parser_takes_the_description() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.sub");
    let settings = HtcondorSettings {
        requirements: Some("OpSysAndVer =?= \"AlmaLinux9\"".to_owned()),
        max_seconds: Some(3600),
        ..HtcondorSettings::default()
    };
    let text = description(settings, "/data/it's my \"$run\"").unwrap();
    std::fs::write(&file, text).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/check_htcondor.py");
    let checked = Command::new("python3").arg(script).arg(&file).output();
    // 77: the package is not there
    let Some(output) = checked.ok().filter(|o| o.status.code() != Some(77)) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}
