//! `make prove`: every case of the machines' tests as a process of its own, with a line for each as it ends and
//! a table at the end. What has passed with these very programs is not done again, so what takes a night may be
//! broken off and gone on with.
//!
//! `prove MESSAGES [PART]…`: a file with what `cargo test --no-run --message-format=json` says of the test
//! program, and parts of names; without any, all cases. Results and logs are in `target/prove/`, in one
//! directory for each build of the programs.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use reroot_tests::paths;
use reroot_tests::proof::{self, Ended};

/// What runs in the machines, and runs them.
const PROGRAMS: [&str; 3] = ["reroot", "reroot-launch", "reroot-init"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let messages = arguments.next().context("usage: prove MESSAGES [PART]…")?;
    let parts: Vec<String> = arguments.collect();
    let program = test_program(Path::new(&messages))?;

    let cases: Vec<String> = cases(&program)?
        .into_iter()
        .filter(|case| parts.is_empty() || parts.iter().any(|part| case.contains(part.as_str())))
        .collect();
    ensure!(
        !cases.is_empty(),
        "no case has any of {parts:?} in its name"
    );
    let directory = paths::target().join("prove").join(build(&program)?);
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    let ledger = directory.join("results");

    let before = proof::ledger(&read(&ledger)?);
    let is_open = |case: &&String| !before.get(*case).is_some_and(|ended| ended.passed);
    let open: VecDeque<&String> = cases.iter().filter(is_open).collect();
    println!(
        "{} cases, {} of them have passed with these programs; logs in {}",
        cases.len(),
        cases.len() - open.len(),
        directory.display()
    );
    let open = Mutex::new(open);
    let file = OpenOptions::new().create(true).append(true).open(&ledger);
    let file = Mutex::new(file.with_context(|| format!("open {}", ledger.display()))?);
    std::thread::scope(|scope| {
        // Machines wait for one of their places; meanwhile others look at namespaces, which compute nothing, or make
        // the next disk.
        let at_once = std::thread::available_parallelism().map_or(1, usize::from) * 2;
        let workers: Vec<_> = (0..at_once)
            .map(|_| scope.spawn(|| work(&program, &directory, &open, &file)))
            .collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().expect("a thread that does not panic"));
        results.collect::<Result<Vec<()>>>()
    })?;

    let ended = proof::ledger(&read(&ledger)?);
    println!("\n{}", proof::table(&cases, &ended));
    let failed = cases
        .iter()
        .filter(|case| !ended.get(*case).is_some_and(|e| e.passed));
    match failed.count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} cases have not passed", cases.len()),
    }
}

/// Takes one case after the other.
fn work(
    program: &Path,
    directory: &Path,
    open: &Mutex<VecDeque<&String>>,
    ledger: &Mutex<File>,
) -> Result<()> {
    let next = || open.lock().expect("a lock").pop_front();
    while let Some(case) = next() {
        let log = directory.join(format!("{}.log", case.replace("::", ".")));
        let begun = Instant::now();
        let passed = run(program, case, &log)?;
        let seconds = begun.elapsed().as_secs();
        let ended = Ended { passed, seconds };
        // One write a line: two workers do not mix theirs.
        let mut ledger = ledger.lock().expect("a lock");
        ledger
            .write_all(proof::line(case, ended).as_bytes())
            .context("write a result")?;
        let said = if passed { "passed" } else { "FAILED" };
        println!("{said} {:4} min  {case}", seconds.div_ceil(60));
        if !passed {
            println!("                 {}", log.display());
        }
    }
    Ok(())
}

/// Runs one case, with all that it says in a file.
fn run(program: &Path, case: &str, log: &Path) -> Result<bool> {
    let file = File::create(log).with_context(|| format!("make {}", log.display()))?;
    let out = file.try_clone().context("open the log twice")?;
    // As cargo calls it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(program)
        .args(["--exact", case, "--include-ignored", "--nocapture"])
        .current_dir(here)
        .env("CARGO_MANIFEST_DIR", here)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(file)
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    Ok(status.success() && proof::is_passed(&read(log)?))
}

/// The text of a file; one that is not there is empty. What a machine prints need not be UTF-8.
fn read(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}

/// The test program that cargo has built, by its messages.
fn test_program(messages: &Path) -> Result<PathBuf> {
    let text =
        fs::read_to_string(messages).with_context(|| format!("read {}", messages.display()))?;
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| {
        let is_of_machines =
            message["target"]["name"] == "machines" && message["profile"]["test"] == true;
        let path = message["executable"].as_str().map(PathBuf::from);
        path.filter(|_| is_of_machines)
    });
    executables
        .next_back()
        .context("cargo has named no test program of the machines")
}

fn cases(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).arg("--list").output();
    let output = output.with_context(|| format!("run {} --list", program.display()))?;
    ensure!(
        output.status.success(),
        "{} --list: {}",
        program.display(),
        output.status
    );
    Ok(proof::cases(&String::from_utf8_lossy(&output.stdout)))
}

/// What stands for a build: a digest of all programs, cut short.
fn build(test_program: &Path) -> Result<String> {
    let mut digest = blake3::Hasher::new();
    let programs = PROGRAMS.iter().map(|name| paths::program(name));
    for path in programs.chain([test_program.to_owned()]) {
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        digest.update(&bytes);
    }
    Ok(digest.finalize().to_hex()[..12].to_owned())
}
