//! A fader says a hundred times a second where it is; Spotify is told a few times, and where
//! it came to rest. Pure; time is milliseconds of a clock that only goes forward.

/// Between two requests, in milliseconds.
const APART_MS: u64 = 300;
/// How long it is believed that the volume is what it was set to, in milliseconds.
const FRESH_MS: u64 = 3_000;

/// What to do with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Set it.
    Now,
    /// It waits; look after so many milliseconds.
    Later(u64),
    /// It waits, and somebody will look.
    Waits,
}

/// The volume of the device that was turned last.
#[derive(Debug, Default)]
pub struct Volume {
    device: Option<String>,
    set: Option<(u8, u64)>,
    waits: Option<u8>,
    is_timed: bool,
}

impl Volume {
    /// A volume comes for a device.
    pub fn turn(&mut self, device: Option<&str>, percent: u8, now: u64) -> Turn {
        self.is_for(device);
        let left = self.set.map_or(0, |(_, at)| (at + APART_MS).saturating_sub(now).min(APART_MS));
        if left == 0 && !self.is_timed {
            return Turn::Now;
        }
        self.waits = Some(percent);
        if self.is_timed {
            return Turn::Waits;
        }
        self.is_timed = true;
        Turn::Later(left.max(10))
    }

    /// What is known of a device's volume without asking: what it waits for, or what it was set to just now.
    #[must_use]
    pub fn known(&self, device: Option<&str>, now: u64) -> Option<u8> {
        let set = || self.set.filter(|(_, at)| now.saturating_sub(*at) < FRESH_MS).map(|(percent, _)| percent);
        if self.device.as_deref() == device { self.waits.or_else(set) } else { None }
    }

    /// It was set.
    pub fn done(&mut self, device: Option<&str>, percent: u8, now: u64) {
        self.is_for(device);
        self.set = Some((percent, now));
    }

    /// It is time to look: the device and the volume that waits.
    pub fn due(&mut self) -> Option<(Option<String>, u8)> {
        self.is_timed = false;
        self.waits.take().map(|percent| (self.device.clone(), percent))
    }

    /// Something went wrong: nothing is known, and nothing waits.
    pub fn forget(&mut self) {
        (self.set, self.waits) = (None, None);
    }

    /// What is known is of one device.
    fn is_for(&mut self, device: Option<&str>) {
        if self.device.as_deref() != device {
            (self.device, self.set, self.waits) = (device.map(str::to_owned), None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fader_is_a_few_requests_and_the_last_one_is_where_it_rests() {
        let (mut volume, mut set, mut timer) = (Volume::default(), Vec::new(), None);
        for now in 0..1000 {
            if timer == Some(now) {
                timer = None;
                let (_, percent) = volume.due().unwrap();
                volume.done(None, percent, now);
                set.push(percent);
            }
            let percent = u8::try_from(now / 10).unwrap();
            match volume.turn(None, percent, now) {
                Turn::Now => {
                    volume.done(None, percent, now);
                    set.push(percent);
                }
                Turn::Later(ms) => assert_eq!(timer.replace(now + ms), None),
                Turn::Waits => assert!(timer.is_some()),
            }
        }
        set.push(volume.due().unwrap().1);
        assert_eq!((set.len(), set[0], *set.last().unwrap()), (5, 0, 99));
        assert!(set.is_sorted());
    }

    #[test]
    fn what_was_just_set_is_known_and_of_one_device_only() {
        let mut volume = Volume::default();
        assert_eq!(volume.known(None, 0), None);
        volume.done(None, 40, 0);
        assert_eq!((volume.known(None, FRESH_MS - 1), volume.known(None, FRESH_MS)), (Some(40), None));
        assert_eq!(volume.known(Some("d"), 1), None);
        assert!(matches!(volume.turn(None, 50, 1), Turn::Later(_)));
        assert_eq!(volume.known(None, 2), Some(50), "steps add up though they wait");
        assert_eq!(volume.turn(Some("d"), 7, 3), Turn::Waits);
        assert_eq!(volume.due(), Some((Some("d".to_owned()), 7)));
        volume.done(Some("d"), 7, 4);
        volume.forget();
        assert_eq!(volume.known(Some("d"), 5), None);
        // time that stands still, or went back
        volume.done(None, 1, 1_000_000);
        assert!(matches!(volume.turn(None, 2, 0), Turn::Later(APART_MS)));
    }
}
