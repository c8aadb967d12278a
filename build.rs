//! Builds the web page (`web/`, with Node) when its sources are newer than `web/dist`, so that `cargo build` alone gives
//! a whole gateway. Only with the feature `page`. It runs `npm ci` when the packages are missing or older than the lock
//! file, and touches the network in no other case. It knows nothing of what the page does.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// What the built page depends on, below `web/`. Tests are not part of it.
const SOURCES: &[&str] = &[
    "src",
    "build",
    "index.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
    ".npmrc",
];

/// What to do without the page's tools.
const INSTALL: &str = "install Node.js 20.19 or newer, with npm";
/// What always works.
const WITHOUT: &str = "or build a gateway without the page: `cargo build --no-default-features`";

/// The file whose time says when the page was built.
const BUILT: &str = "dist/index.html";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if !cfg!(feature = "page") {
        return;
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    // Removed or half-written output must be made again.
    println!("cargo::rerun-if-changed=web/{BUILT}");
    if let Err(error) = page(Path::new("web")) {
        println!("cargo::error={}", error.to_string().replace('\n', " "));
    }
}

fn page(web: &Path) -> Outcome<()> {
    if is_fresh(web)? {
        return Ok(());
    }
    // Two builds of one work tree (an editor's and a shell's) take turns; the second then finds the page made.
    let lock = File::create(web.join(".build-lock"))?;
    lock.lock()?;
    if is_fresh(web)? {
        return Ok(());
    }
    install(web)?;
    let started = SystemTime::now();
    npm(web, &["run", "build"])?;
    // A source that was saved meanwhile must count as newer.
    File::options().append(true).open(web.join(BUILT))?.set_modified(started)?;
    Ok(())
}

fn is_fresh(web: &Path) -> Outcome<bool> {
    let newest = newest_source(web)?;
    Ok(modified(&web.join(BUILT)).is_some_and(|built| built >= newest))
}

/// Brings the packages that the lock file names, if they are not there yet.
fn install(web: &Path) -> Outcome<()> {
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    let wanted = modified(&web.join("package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    npm(web, &["ci", "--ignore-scripts"])
}

fn npm(web: &Path, arguments: &[&str]) -> Outcome<()> {
    let output = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(arguments)
        .current_dir(web)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .output()
        .map_err(|error| format!("the web page needs npm, and `npm` does not start ({error}): {INSTALL}, {WITHOUT}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for line in said.lines() {
        eprintln!("{line}");
    }
    let why = said.lines().find(|line| line.contains("rror")).unwrap_or("it gave no reason");
    let command = arguments.join(" ");
    Err(format!("`npm {command}` in web/ failed: {why}; run it there to see all of it, {WITHOUT}").into())
}

fn newest_source(web: &Path) -> Outcome<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut to_visit: Vec<PathBuf> = SOURCES.iter().map(|source| web.join(source)).collect();
    while let Some(path) = to_visit.pop() {
        let Some(time) = modified(&path) else { continue };
        newest = newest.max(time);
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                to_visit.push(entry?.path());
            }
        }
    }
    Ok(newest)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
