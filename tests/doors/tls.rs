//! TLS with certificate files: who connects, what the cookie is then, and that a new certificate is taken up.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::process;
use crate::support::wait::eventually;

/// A certificate for 127.0.0.1 that signs itself, made by openssl(1).
fn certificate(dir: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-subj", &format!("/CN={name}")])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output()
        .expect("openssl(1) is installed: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(dir.join("key.pem"), mode).expect("our own file can be changed");
}

/// What curl(1) says, which trusts the certificate at `ca` alone.
fn curl(ca: &Path, args: &[&str]) -> (bool, String) {
    let ran = Command::new("curl").args(["-sS", "-i", "--max-time", "20", "--cacert"]).arg(ca).args(args).output();
    let ran = ran.expect("curl(1) is installed: apt-get install curl");
    (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_bound_to_the_host_and_sighup_takes_up_a_new_certificate() {
    let dir = TempDir::new().expect("a temporary folder can be made");
    certificate(dir.path(), "first");
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let old = dir.path().join("old.pem");
    std::fs::copy(&cert, &old).expect("a temporary folder is writable");
    let settings = Gateway::builder()
        .env("BREAKGLASS_TLS_CERT", &cert.display().to_string())
        .env("BREAKGLASS_TLS_KEY", &key.display().to_string());
    let gateway = settings.start().await;
    let url = format!("https://{}", gateway.address());
    let bearer = format!("Authorization: Bearer {}", gateway.token());

    let (_, me) = curl(&cert, &["-H", &bearer, &format!("{url}/api/me")]);
    assert!(me.starts_with("HTTP/1.1 200") && me.contains(r#""name":"first""#), "{me}");
    let login = format!(r#"{{"token":"{}"}}"#, gateway.token());
    let (_, answer) = curl(&cert, &["-H", &format!("Origin: {url}"), "-d", &login, &format!("{url}/api/login")]);
    let cookie = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).expect("a cookie");
    for part in ["__Host-breakglass-", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
    let plain = format!("http://{}/api/me", gateway.address());
    assert!(!curl(&cert, &[&plain]).0, "nothing is said without TLS");
    let (_, foreign) =
        curl(&cert, &["-H", &bearer, "-H", "Origin: http://127.0.0.1", "-d", "{}", &format!("{url}/api/sessions")]);
    assert!(foreign.starts_with("HTTP/1.1 403"), "the same name without TLS is another origin: {foreign}");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/outside/tls.py");
    let mut python = Command::new(super::outside::python());
    let ran = python.arg(script).args([&gateway.address().to_string(), gateway.token()]).arg(&cert).output();
    let ran = ran.expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    std::fs::write(&cert, "not a certificate").expect("a temporary folder is writable");
    process::signal(gateway.pid(), Signal::HUP);
    eventually("the complaint", || gateway.log().contains("the old one stays").then_some(())).await;
    assert!(curl(&old, &["-H", &bearer, &format!("{url}/api/me")]).1.starts_with("HTTP/1.1 200"));
    certificate(dir.path(), "second");
    process::signal(gateway.pid(), Signal::HUP);
    eventually("the new certificate", || gateway.log().contains("was read again").then_some(())).await;
    assert!(curl(&cert, &["-H", &bearer, &format!("{url}/api/me")]).1.starts_with("HTTP/1.1 200"));
    assert!(!curl(&old, &["-H", &bearer, &format!("{url}/api/me")]).0, "the old one is not shown any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_cannot_be_used_are_named_at_the_start() {
    let gateway = Gateway::builder().start().await;
    let dir = TempDir::new().expect("a temporary folder can be made");
    certificate(dir.path(), "first");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    std::fs::write(dir.path().join("empty.pem"), "").expect("a temporary folder is writable");
    let (empty, missing) = (path("empty.pem"), path("missing.pem"));
    for (args, named) in [
        (vec!["--tls-cert", &cert], "--tls-key"),
        (vec!["--tls-key", &key], "--tls-cert"),
        (vec!["--tls-cert", &missing, "--tls-key", &key], missing.as_str()),
        (vec!["--tls-cert", &empty, "--tls-key", &key], empty.as_str()),
        (vec!["--tls-cert", &cert, "--tls-key", &cert], cert.as_str()),
    ] {
        let refused = gateway.run(&[&["serve", "--data", "elsewhere"], args.as_slice()].concat()).await;
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains(named), "{named}: {stderr}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("our own file can be changed");
    let refused = gateway.run(&["serve", "--data", "elsewhere", "--tls-cert", &cert, "--tls-key", &key]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
}
