//! `make demo`: a virtual Debian 11 server becomes Debian 13, and keeps its shop.
//!
//! `demo [NAME]`: another machine, see [`reroot_tests::demo_machine`].
//!
//! Does what an operator does, in order: build the image, copy it, `check`, `plan`, `go`, and watch the run
//! to its end from outside; then compares what was kept with what there was. Ends with a
//! report, and with an exit status other than 0 if anything differs.

use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use formats::confirm::{Confirm, Verdict};
use formats::plan::Plan;
use formats::report::Report;
use formats::Document;
use reroot_tests::confirmed;
use reroot_tests::demo_machine::DemoMachine;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::prober::{Prober, Silence};
use reroot_tests::reinstall::{self, IMAGE_ON_MACHINE, KEEP};
use reroot_tests::shop_data::KEPT;
use reroot_tests::vm::Machine;
use reroot_tests::watching;

/// The machine of the demo where none is named.
const USUAL: &str = "debian";

/// What says who the machine is, as a name and what the machine is asked; it too must come out as it
/// went in.
const IDENTITY: [(&str, &str); 6] = [
    ("host name", "cat /etc/hostname"),
    ("machine id", "cat /etc/machine-id"),
    (
        "address",
        "ip -4 -o address show scope global | awk '{print $4, $2}'",
    ),
    ("router", "ip -4 route show default | awk '{print $3, $5}'"),
    (
        "ssh host key",
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 2",
    ),
    (
        "owner of /var/lib/mysql",
        "stat -c '%U:%G (%u:%g)' /var/lib/mysql",
    ),
];

/// Everything the report is made of.
struct Story {
    old_os: String,
    new_os: String,
    before: Vec<Evidence>,
    after: Vec<Evidence>,
    identity_before: Vec<String>,
    identity_after: Vec<String>,
    confirm: Confirm,
    silence: Silence,
    in_the_machine: Report,
    steps: Vec<(&'static str, Duration)>,
}

fn main() -> Result<()> {
    let name = std::env::args().nth(1);
    let of = DemoMachine::named(name.as_deref().unwrap_or(USUAL))?;
    let story = perform(of)?;
    print_report(&story);
    ensure!(
        story.before == story.after,
        "kept data differs: see the report"
    );
    ensure!(
        story.identity_before == story.identity_after,
        "the machine's identity differs: see the report"
    );
    ensure!(
        story.confirm.passed,
        "the first boot fell short: see the report"
    );
    Ok(())
}

fn perform(of: DemoMachine) -> Result<Story> {
    let mut watch = Stopwatch::start();

    say("the old server's disk (made once)");
    of.make()?;
    watch.done("make the old server's disk");
    say(&format!(
        "the image (built once for these programs): reroot build {} -o trixie.reroot",
        of.folder()
    ));
    let image = of.image()?;
    watch.done("build the image");

    say("boot the old server");
    let mut machine = of.boot()?;
    let old_os = machine.expect("cat /etc/os-release")?;
    let identity_before = identity(&machine)?;
    watch.done("boot the old server");
    say("take the digests of its data");
    let before = evidence::gather(&machine, &KEPT)?;
    watch.done("digests before");

    say("scp trixie.reroot server:");
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    watch.done("copy the image to the server");
    say(&format!("ssh server ./trixie.reroot check {KEEP}"));
    let answer = machine.ssh(&format!("{IMAGE_ON_MACHINE} check {KEEP}"))?;
    print!("{}{}", answer.stdout, answer.stderr);
    ensure!(answer.status == 0, "check: exit status {}", answer.status);
    watch.done("check");
    say(&format!("ssh server ./trixie.reroot plan {KEEP}"));
    print!(
        "{}",
        machine.expect(&format!("{IMAGE_ON_MACHINE} plan {KEEP}"))?
    );
    watch.done("plan");

    say(&format!(
        "reroot watch root@server -- ./trixie.reroot go --yes {KEEP}"
    ));
    let command = format!("{IMAGE_ON_MACHINE} go --yes {KEEP}");
    let limit = machine.patience(reinstall::LIMIT);
    // The plan was shown already.
    let mut shown = false;
    let (mut prober, port) = (None, machine.ssh_port());
    let watched = watching::watch(&machine, &command, limit, |line| {
        shown |= line.starts_with("The run goes on by itself");
        // It has to hear the old server before there is a silence to measure; and not for longer than that,
        // for each question takes an emulated processor half a second.
        if line.contains("ask: begins") {
            prober.get_or_insert_with(|| Prober::start(port));
        }
        if shown {
            println!("{line}");
        }
    })?;
    ensure!(
        watched.status == 0,
        "exit status {}\n{}",
        watched.status,
        machine.console_tail()
    );
    machine.wait_for_ssh()?;
    watch.done("go, until the new OS has compared itself with the plan");

    let prober = prober.context("`go` did not say that it asks once more")?;
    let silence = prober.silence_until_back(machine.patience(Duration::from_secs(20)))?;
    drop(prober);
    say("take the digests again, on the new OS");
    let after = evidence::gather(&machine, &KEPT)?;
    watch.done("digests after");
    let confirm = confirmed::wait(&machine)?;
    Ok(Story {
        old_os,
        new_os: machine.expect("cat /etc/os-release")?,
        before,
        after,
        identity_before,
        identity_after: identity(&machine)?,
        confirm,
        silence,
        in_the_machine: report_of(&machine)?,
        steps: watch.steps,
    })
}

/// The answers to [`IDENTITY`].
fn identity(machine: &Machine) -> Result<Vec<String>> {
    let ask = |(_, question): &(&str, &str)| -> Result<String> {
        let answer = machine.expect(question)?;
        Ok(answer.trim().replace('\n', ", "))
    };
    IDENTITY.iter().map(ask).collect()
}

/// Times of one thing after another.
struct Stopwatch {
    since: Instant,
    steps: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            since: Instant::now(),
            steps: Vec::new(),
        }
    }

    fn done(&mut self, name: &'static str) {
        self.steps.push((name, self.since.elapsed()));
        self.since = Instant::now();
    }
}

/// The report that the run left in the new OS.
fn report_of(machine: &Machine) -> Result<Report> {
    let text = machine.expect("cat /var/log/reroot/*/report.json")?;
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    let report = Report::from_json(text.as_bytes()).context("the run's report.json")?;
    let plan = Plan::from_json(plan.as_bytes()).context("the run's plan.json")?;
    ensure!(
        report.run == plan.run,
        "report.json and plan.json are of different runs"
    );
    Ok(report)
}

fn print_report(story: &Story) {
    let heading = |text: &str| println!("\n{text}\n{}", "-".repeat(text.len()));
    println!();
    heading("Reinstalled");
    println!("old:  {}", pretty_name(&story.old_os));
    println!("new:  {}", pretty_name(&story.new_os));
    heading("Old /etc/os-release");
    print!("{}", story.old_os);
    heading("New /etc/os-release");
    print!("{}", story.new_os);

    heading("Kept data");
    for (before, after) in story.before.iter().zip(&story.after) {
        let result = if before == after {
            "the same"
        } else {
            "DIFFERENT"
        };
        println!("{}: {} entries, {result}", before.path, before.entries);
        for (what, old, new) in [
            ("metadata", &before.metadata, &after.metadata),
            ("contents", &before.contents, &after.contents),
        ] {
            println!("  {what}  before {old:.64}\n            after  {new:.64}");
        }
    }
    println!("{}", evidence::EXPLAINED);
    println!("all 128 digits are compared, the first 64 shown");

    heading("Identity");
    for (((what, _), before), after) in IDENTITY
        .iter()
        .zip(&story.identity_before)
        .zip(&story.identity_after)
    {
        let result = if before == after {
            "the same"
        } else {
            "DIFFERENT"
        };
        println!("{what}: {result}\n  before {before}\n  after  {after}");
    }

    heading("The new OS's own comparison with the plan, at its first boot");
    for (verdict, mark) in [
        (Verdict::Short, "SHORT"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Note, "note"),
        (Verdict::Pass, "pass"),
    ] {
        for line in confirmed::lines(&story.confirm, verdict) {
            println!("{mark:<8} {line}");
        }
    }

    heading("In the RAM environment");
    for phase in &story.in_the_machine.phases {
        println!("{:>8.2} s  {}", phase.seconds, phase.name);
    }
    println!(
        "{} entries removed, {} unpacked, {} left out because a kept path is in their place",
        story.in_the_machine.removed, story.in_the_machine.unpacked, story.in_the_machine.skipped
    );

    heading("From outside");
    for (name, time) in &story.steps {
        println!("{:>8.2} s  {name}", time.as_secs_f64());
    }

    let total: Duration = story.steps.iter().map(|(_, time)| *time).sum();
    println!("{:>8.2} s  all of it", total.as_secs_f64());

    heading("Downtime");
    println!(
        "{:.1} s from the last answer of {} to the first of {}",
        story.silence.length().as_secs_f64(),
        story.silence.last.banner,
        story.silence.first.banner
    );
}

fn pretty_name(os_release: &str) -> &str {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown", |name| name.trim_matches('"'))
}

fn say(line: &str) {
    println!("\n>>> {line}");
}
