//! What lies on disk belongs to the gateway's user alone; what others could have read is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;

fn everything_below(root: &Path, into: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(root).expect("our own folder").flatten() {
        let path = entry.path();
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        into.push((path.clone(), found.permissions().mode() & 0o777));
        if found.is_dir() {
            everything_below(&path, into);
        }
    }
}

#[tokio::test]
async fn files_are_0600_and_folders_0700_also_the_workspaces_and_what_an_agent_makes_keeps_its_umask() {
    let agent = FakeAgent::shell("init; umask > umask; echo x > made; text done; result ok");
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "go").await;
    scene.gateway.add_token("ana", "viewer").await;
    let workspace = scene.gateway.data().join("sessions").join(&scene.session);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&scene.gateway.data()), 0o700);
    assert_eq!(mode(&workspace), 0o700);
    let mut found = Vec::new();
    everything_below(&scene.gateway.data(), &mut found);
    assert!(found.len() > 8, "{found:?}");
    for (path, mode) in found {
        if !path.starts_with(&workspace) {
            assert_eq!(mode & 0o077, 0, "`{}` is {mode:o}", path.display());
        }
    }
    let own = fs::read_to_string("/proc/self/status").expect("our own process");
    let own = own.lines().find_map(|line| line.strip_prefix("Umask:")).expect("it has a umask").trim().to_owned();
    let given = fs::read_to_string(workspace.join("umask")).expect("the agent wrote it");
    let octal = |text: &str| u32::from_str_radix(text.trim(), 8).expect("octal");
    assert_eq!(octal(&given), octal(&own), "an agent that repairs /etc must not leave files that services cannot read");
}

#[tokio::test]
async fn a_data_folder_that_others_can_read_is_refused_with_the_way_out() {
    for (name, mode, wanted) in [
        ("", 0o755, "700"),
        ("", 0o710, "700"),
        ("breakglass.db", 0o644, "600"),
        ("breakglass.db", 0o640, "600"),
        ("turns", 0o755, "700"),
        ("lock", 0o604, "600"),
    ] {
        let mut gateway = Gateway::builder().start().await;
        gateway.terminate().await;
        let path = if name.is_empty() { gateway.data() } else { gateway.data().join(name) };
        if name == "turns" && !path.exists() {
            fs::create_dir(&path).expect("our own folder");
        }
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our own file");
        for command in [&["serve"][..], &["token", "list"], &["access"]] {
            let refused = gateway.run(command).await;
            let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success(), "{command:?} {name} {mode:o}");
            assert!(stderr.contains(&format!("chmod {wanted}")), "{command:?}: {stderr}");
            assert!(stderr.contains(&path.display().to_string()), "{command:?}: {stderr}");
        }
        let good = if wanted == "700" { 0o700 } else { 0o600 };
        fs::set_permissions(&path, Permissions::from_mode(good)).expect("our own file");
        gateway.restart().await;
    }
}
