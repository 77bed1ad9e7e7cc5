//! A telephone made of a real baresip: keys through its control port, and a recording of what its ear received.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keytone::rtp::Codec;

use super::daemon::House;
use super::ear::{Heard, names, recognise};
use super::{tail, wait_for};

/// How long a message or an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A baresip that has been told to call.
pub(crate) struct Baresip {
    child: Child,
    control: TcpStream,
    folder: tempfile::TempDir,
    heard: usize,
}

/// Silence of a minute, so that the phone has something to send: the end of its source would end the call.
fn silence() -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for _ in 0..8000 * 60 {
        writer.write_sample(0_i16).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

impl Baresip {
    /// Calls the recharge service of a house.
    pub(crate) fn call(house: &House, msisdn: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("keytone-baresip-").tempdir().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let control = free();
        std::fs::write(folder.path().join("silence.wav"), silence()).unwrap();
        // `stdio` is left out: it needs a terminal. `sndfile` writes what is decoded to a file.
        let config = format!(
            "module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:{sip}\nsip_trans_def udp\n\
             audio_path /nonexistent\naudio_source aufile,{}/silence.wav\naudio_player aufile,{}/player.wav\n\
             audio_srate 8000\naudio_channels 1\nrtp_stats no\nrtcp_mux no\nrtp_timeout 60\n\
             module g711.so\nmodule aufile.so\nmodule sndfile.so\nsnd_path {}\n\
             module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             ctrl_tcp_listen 127.0.0.1:{control}\n",
            folder.path().display(),
            folder.path().display(),
            folder.path().display(),
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let account = format!("<sip:{msisdn}@127.0.0.1>;regint=0;audio_codecs=PCMU;dtmfmode=rtpevent\n");
        std::fs::write(folder.path().join("accounts"), account).unwrap();
        std::fs::write(folder.path().join("contacts"), "").unwrap();
        let out = File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .args(["-v", "-t", "60"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start baresip (package baresip-core): {e}"));
        let log = folder.path().join("log");
        let control = wait_for("baresip's control port", PATIENCE, || {
            assert!(child.try_wait().unwrap().is_none(), "baresip ended:\n{}", tail(&log, 30));
            TcpStream::connect(("127.0.0.1", control)).ok()
        });
        let mut phone = Self { child, control, folder, heard: 0 };
        phone.command("dial", &format!("sip:12584@{}", house.sip));
        wait_for("the answer", PATIENCE, || phone.log().contains("Call established").then_some(()));
        phone
    }

    /// A command as a netstring of JSON.
    fn command(&mut self, name: &str, parameter: &str) {
        let json = serde_json::json!({ "command": name, "params": parameter }).to_string();
        self.control.write_all(format!("{}:{json},", json.len()).as_bytes()).unwrap();
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default())
            .into_owned()
    }

    /// What was received, as samples.
    pub(crate) fn recording(&self) -> Vec<i16> {
        let is_it = |name: &str| name.starts_with("dump-") && name.ends_with("-dec.wav");
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap()).collect();
        files.retain(|e| is_it(&e.file_name().to_string_lossy()));
        let Some(file) = files.first() else { return Vec::new() };
        let bytes = std::fs::read(file.path()).unwrap();
        // The header tells the length only after the call, so the samples are taken as they lie behind it.
        bytes
            .get(44..)
            .unwrap_or_default()
            .as_chunks()
            .0
            .iter()
            .map(|pair| i16::from_le_bytes(*pair))
            .collect()
    }

    /// The clips in the recording.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let talk: Vec<u8> = self.recording().into_iter().map(|s| Codec::Pcmu.encode(s)).collect();
        recognise(&talk, Codec::Pcmu)
    }

    /// Waits for the first words of a message.
    pub(crate) fn hear(&mut self, message: &str) {
        let known = self.heard;
        let log = self.folder.path().join("log");
        let mut latest = Vec::new();
        let deadline = super::now() + PATIENCE;
        loop {
            let heard = self.heard();
            if let Some(at) = heard.iter().skip(known).position(|h| h.whole && h.begins(message)) {
                self.heard = known + at + 1;
                return;
            }
            latest.clone_from(&heard);
            assert!(
                super::now() < deadline,
                "baresip waited for {message}; heard {:?}\n{}",
                names(&latest),
                tail(&log, 30)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys, one after the other.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.command("sndcode", &key.to_string());
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Waits until the daemon has hung up.
    pub(crate) fn wait_end(&self) {
        wait_for("the end of the call", PATIENCE * 2, || self.log().contains("terminated").then_some(()));
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.control.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = self.control.read(&mut [0; 64]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
