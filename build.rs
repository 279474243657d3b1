//! Puts the git revision into the program, where there is one.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // a file that is not there would build the program again each time
    println!("cargo:rerun-if-changed=build.rs");
    for place in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", place]);
        if let Some(path) = path.filter(|path| std::path::Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    if let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo:rustc-env=SIDEBAND_GIT_REVISION={revision}");
    }
}
