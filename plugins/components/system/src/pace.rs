//! A fader moves faster than programs can be run: only its latest position counts. Pure;
//! time is milliseconds of any clock that only goes forward.

use crate::deed::{Deed, Fader};

/// Between two programs for one fader, in milliseconds: midimon runs five a second.
const APART_MS: u64 = 250;

/// What to do with a deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Do it.
    Now(Deed),
    /// It waits; look at this fader after so many milliseconds.
    Later(Fader, u64),
    /// It waits, and somebody will look.
    Waits,
}

/// Faders, when each was last followed, and what waits.
#[derive(Debug, Default)]
pub struct Paces {
    lanes: [Lane; Fader::ALL.len()],
}

#[derive(Debug, Default)]
struct Lane {
    done_ms: Option<u64>,
    waits: Option<Deed>,
    is_set: bool,
}

impl Paces {
    /// A deed comes. What is no fader's is done at once.
    pub fn offer(&mut self, deed: Deed, now_ms: u64) -> Pace {
        let Some(fader) = deed.follows() else { return Pace::Now(deed) };
        let lane = &mut self.lanes[fader as usize];
        let left = lane.left(now_ms);
        if left == 0 && !lane.is_set {
            lane.done_ms = Some(now_ms);
            return Pace::Now(deed);
        }
        lane.waits = Some(deed);
        if lane.is_set {
            return Pace::Waits;
        }
        lane.is_set = true;
        Pace::Later(fader, left.max(1))
    }

    /// It is time to look.
    pub fn due(&mut self, fader: Fader, now_ms: u64) -> Option<Deed> {
        let lane = &mut self.lanes[fader as usize];
        lane.is_set = false;
        lane.done_ms = Some(now_ms);
        lane.waits.take()
    }

    /// It could not be done now. It waits again, unless a newer one came.
    pub fn put_back(&mut self, fader: Fader, deed: Deed) -> Pace {
        let lane = &mut self.lanes[fader as usize];
        lane.waits.get_or_insert(deed);
        if lane.is_set {
            return Pace::Waits;
        }
        lane.is_set = true;
        Pace::Later(fader, APART_MS)
    }
}

impl Lane {
    fn left(&self, now_ms: u64) -> u64 {
        // a clock that stands at 0, as of calls by hand, must not make it wait for ever
        self.done_ms.map_or(0, |done_ms| (done_ms + APART_MS).saturating_sub(now_ms).min(APART_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::{Change, Media, Sound};

    fn at(percent: u8) -> Deed {
        Deed::Volume(Sound::Output, Change::To(percent))
    }

    #[test]
    fn of_a_moving_fader_the_first_and_the_last_position_count() {
        let (mut paces, mut done, mut alarm) = (Paces::default(), Vec::new(), None);
        for now in 0..2_000 {
            if alarm == Some(now) {
                alarm = None;
                done.extend(paces.due(Fader::Output, now).map(|deed| (now, deed)));
            }
            if now < 1_000 && now % 10 == 0 {
                match paces.offer(at((now / 10) as u8), now) {
                    Pace::Now(deed) => done.push((now, deed)),
                    Pace::Later(_, ms) => alarm = Some(now + ms),
                    Pace::Waits => {}
                }
            }
        }
        assert_eq!(done.first(), Some(&(0, at(0))));
        assert_eq!(done.last().map(|(_, deed)| deed), Some(&at(99)));
        assert!((4..=6).contains(&done.len()), "{done:?}");
        assert!(done.windows(2).all(|pair| pair[1].0 - pair[0].0 >= APART_MS), "{done:?}");
    }

    #[test]
    fn faders_do_not_wait_for_each_other_and_buttons_not_at_all() {
        let mut paces = Paces::default();
        assert_eq!(paces.offer(at(1), 0), Pace::Now(at(1)));
        assert_eq!(paces.offer(at(2), 1), Pace::Later(Fader::Output, 249));
        assert_eq!(paces.offer(at(3), 2), Pace::Waits);
        let bright = Deed::Brightness(Change::To(9));
        assert_eq!(paces.offer(bright.clone(), 2), Pace::Now(bright));
        for deed in [Deed::Media(Media::Next, None), Deed::Volume(Sound::Output, Change::By(5))] {
            assert_eq!(paces.offer(deed.clone(), 2), Pace::Now(deed));
        }
    }

    #[test]
    fn what_could_not_be_done_is_tried_again_unless_there_is_a_newer_one() {
        let mut paces = Paces::default();
        assert_eq!(paces.put_back(Fader::Output, at(1)), Pace::Later(Fader::Output, APART_MS));
        assert_eq!(paces.due(Fader::Output, 250), Some(at(1)));
        assert_eq!(paces.offer(at(2), 260), Pace::Later(Fader::Output, 240));
        assert_eq!(paces.put_back(Fader::Output, at(1)), Pace::Waits);
        assert_eq!(paces.due(Fader::Output, 500), Some(at(2)));
        assert_eq!(paces.due(Fader::Output, 750), None);
    }
}
