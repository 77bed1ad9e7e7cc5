//! The clips of all languages by id, encoded once at start, and pauses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::rtp::Clip;
use crate::session::Sound;

/// Every clip that a prompt can name.
#[derive(Clone, Debug, Default)]
pub struct Clips {
    by_id: Arc<HashMap<Box<str>, Arc<Clip>>>,
    pauses: Arc<HashMap<u16, Arc<Clip>>>,
}

/// Pauses are made in steps of this, milliseconds.
const PAUSE_STEP_MS: u16 = 20;
/// The longest single pause, milliseconds; a longer one is cut to it.
const PAUSE_MAX_MS: u16 = 2000;

impl Clips {
    /// A set of clips; each is known by its name.
    #[must_use]
    pub fn new(clips: impl IntoIterator<Item = Clip>) -> Self {
        let by_id = clips.into_iter().map(|c| (Box::from(c.name()), Arc::new(c))).collect();
        let pauses = (1..=PAUSE_MAX_MS / PAUSE_STEP_MS)
            .map(|n| (n * PAUSE_STEP_MS, Arc::new(Clip::silence(n * PAUSE_STEP_MS))))
            .collect();
        Self { by_id: Arc::new(by_id), pauses: Arc::new(pauses) }
    }

    /// Every clip, pauses too.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Clip>> {
        self.by_id.values().chain(self.pauses.values())
    }

    /// What to play for these sounds. The checker has proved that every clip is there; one that was taken away since is
    /// left out, and the log says so.
    #[must_use]
    pub fn of(&self, sounds: &[Sound]) -> Vec<Arc<Clip>> {
        let mut clips = Vec::with_capacity(sounds.len());
        for sound in sounds {
            match sound {
                Sound::Clip(id) => match self.by_id.get(&**id) {
                    Some(clip) => clips.push(clip.clone()),
                    None => tracing::error!(clip = %id, "a clip is missing"),
                },
                Sound::Pause(length) => clips.extend(self.pause(*length)),
            }
        }
        clips
    }

    fn pause(&self, length: Duration) -> Option<Arc<Clip>> {
        let ms = u16::try_from(length.as_millis()).unwrap_or(PAUSE_MAX_MS).min(PAUSE_MAX_MS);
        self.pauses.get(&(ms.div_ceil(PAUSE_STEP_MS) * PAUSE_STEP_MS)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_become_clips_and_pauses_of_whole_frames() {
        let clips = Clips::new([Clip::from_samples("en/msg/hello.0", &[0; 800])]);
        let sounds = [
            Sound::Clip("en/msg/hello.0".into()),
            Sound::Pause(Duration::from_millis(170)),
            Sound::Clip("en/msg/missing".into()),
            Sound::Pause(Duration::from_secs(60)),
        ];
        let played = clips.of(&sounds);
        let lengths: Vec<u128> = played.iter().map(|c| c.duration().as_millis()).collect();
        assert_eq!(lengths, [100, 180, 2000]);
    }
}
