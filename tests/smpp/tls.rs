//! Links in TLS: a private authority, a client certificate, and everything that must not be believed.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use keytone::smpp::io::Trouble;
use keytone::smpp::io::tls;
use keytone::smpp::io::tls::ClientFiles;
use keytone::smpp::io::tls::Identity;
use keytone::smpp::io::tls::ServerFiles;
use keytone::smpp::link::event::Outcome;
use keytone::smpp::link::settings::Settings;
use keytone::smpp::pdu::Body;
use keytone::smpp::pdu::Role;
use keytone::smpp::status;

use super::ends::*;

/// Certificates that one run of the tests makes for itself.
struct Authority(tempfile::TempDir);

impl Authority {
    fn get() -> &'static Self {
        static MADE: OnceLock<Authority> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = Self(tempfile::tempdir().unwrap());
            for authority in ["carrier", "stranger"] {
                folder.openssl(&format!(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={authority} \
                     -keyout {authority}.key -out {authority}.pem"
                ));
            }
            for (name, signer, alternative) in [
                ("smsc", "carrier", "DNS:smsc.test,IP:127.0.0.1"),
                ("shop", "carrier", "DNS:shop.test"),
                ("fake", "stranger", "DNS:smsc.test,IP:127.0.0.1"),
            ] {
                folder.openssl(&format!(
                    "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
                     -out {name}.csr"
                ));
                std::fs::write(
                    folder.path(&format!("{name}.ext")),
                    format!("subjectAltName={alternative}\nbasicConstraints=CA:FALSE\n"),
                )
                .unwrap();
                folder.openssl(&format!(
                    "x509 -req -in {name}.csr -CA {signer}.pem -CAkey {signer}.key -CAcreateserial -days 2 \
                     -extfile {name}.ext -out {name}.pem"
                ));
            }
            folder
        })
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .expect("openssl is installed (scripts/setup)");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn identity(&self, name: &str) -> Identity {
        Identity { certificates: self.path(&format!("{name}.pem")), key: self.path(&format!("{name}.key")) }
    }

    fn server(&self, name: &str, asks: bool) -> Arc<rustls::ServerConfig> {
        let client_authority = asks.then(|| self.path("carrier.pem"));
        tls::server(&ServerFiles { identity: self.identity(name), client_authority }).unwrap()
    }

    fn client(&self, name: Option<&str>) -> Arc<rustls::ClientConfig> {
        let identity = name.map(|name| self.identity(name));
        tls::client(&ClientFiles { authority: Some(self.path("carrier.pem")), identity }).unwrap()
    }
}

async fn try_it(
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    server_name: Option<&str>,
) -> Result<(), Trouble> {
    let mut settings = listener_settings(smsc());
    settings.tls = Some(server);
    let mut smsc = Smsc::start(settings).await;
    let mut settings = client_settings(&smsc.address.to_string(), esme(Role::Transceiver));
    settings.tls = Some(client);
    settings.server_name = server_name.map(str::to_owned);
    let (client, mut heard) = connect(settings);
    let trouble = within("a bind or a refusal", async {
        loop {
            if let Some(trouble) = client.status().trouble {
                return Some(trouble);
            }
            tokio::select! {
                _ = heard.events.recv() => return None,
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
        }
    })
    .await;
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let asker = tokio::spawn(async move { client.request(Body::SubmitSm(message(b"in TLS")), 1).await });
    let (handle, ticket, body) = smsc.heard.request().await;
    handle.respond(ticket, status::ROK, accept(&body, "1"));
    assert!(matches!(within("an answer", asker).await.unwrap(), Outcome::Answered { status: 0, .. }));
    Ok(())
}

#[test]
fn a_private_authority_and_a_client_certificate_are_believed() {
    run(async {
        let made = Authority::get();
        let table =
            [(false, None, None), (true, Some("shop"), None), (true, Some("shop"), Some("smsc.test"))];
        for (asks, shows, name) in table {
            let tried = try_it(made.server("smsc", asks), made.client(shows), name).await;
            assert_eq!(tried, Ok(()), "{asks} {shows:?} {name:?}");
        }
    });
}

#[test]
fn strangers_are_not_believed() {
    run(async {
        let made = Authority::get();
        assert_eq!(
            try_it(made.server("fake", false), made.client(None), None).await,
            Err(Trouble::Tls),
            "signer"
        );
        let other = try_it(made.server("smsc", false), made.client(None), Some("other.test")).await;
        assert_eq!(other, Err(Trouble::Tls), "name");
        // In TLS 1.3 the client hears of it only when it reads.
        assert!(try_it(made.server("smsc", true), made.client(None), None).await.is_err(), "no certificate");
        assert!(
            try_it(made.server("smsc", true), made.client(Some("fake")), None).await.is_err(),
            "another's"
        );
        let platform = tls::client(&ClientFiles::default()).unwrap();
        assert_eq!(
            try_it(made.server("smsc", false), platform, None).await,
            Err(Trouble::Tls),
            "the platform"
        );
    });
}

#[test]
fn clear_text_to_a_tls_listener_gets_nothing() {
    run(async {
        let mut settings = listener_settings(Settings { bind_timeout: Duration::from_millis(300), ..smsc() });
        settings.tls = Some(Authority::get().server("smsc", false));
        let smsc = Smsc::start(settings).await;
        // One talks the wrong language, one says nothing at all.
        let mut clear = Raw::connect(smsc.address).await;
        clear.send(0, 1, Body::EnquireLink).await;
        let mut mute = Raw::connect(smsc.address).await;
        let mut octets = Vec::new();
        within("the end", async {
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut clear.stream, &mut octets).await;
        })
        .await;
        assert!(!octets.starts_with(&[0, 0, 0]), "no PDU, at most an alert");
        assert!(mute.next().await.is_none());
    });
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let made = Authority::get();
    let told = |files: ClientFiles| tls::client(&files).unwrap_err().to_string();
    let missing = told(ClientFiles { authority: Some(PathBuf::from("/nowhere/ca.pem")), identity: None });
    assert!(missing.starts_with("/nowhere/ca.pem: "), "{missing}");
    let key = told(ClientFiles { authority: Some(made.path("shop.key")), identity: None });
    assert!(key.ends_with("shop.key: no certificate in PEM form"), "{key}");
    let mixed = Identity { certificates: made.path("shop.pem"), key: made.path("smsc.key") };
    let fault = told(ClientFiles { authority: None, identity: Some(mixed) });
    assert!(fault.starts_with("TLS: "), "{fault}");
    assert!(Path::new(&made.path("shop.pem")).exists());
}
