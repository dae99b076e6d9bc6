//! Doing a deed with the program that is there. What runs it goes through [`Runner`].

use crate::deed::Deed;
use crate::programs::{Command, packages, ways};

/// Longest complaint of a program that is passed on, in characters.
const MAX_COMPLAINT: usize = 200;

/// What came of running a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It ended with 0; what it wrote.
    Well(String),
    /// It ended otherwise; its code and what it complained about.
    Badly(i32, String),
    /// It could not be run.
    Not(String),
    /// Too many programs: later.
    Later,
}

/// Runs programs.
pub trait Runner {
    /// Runs one to its end.
    fn run(&mut self, command: &Command) -> Ran;
}

/// Why a deed was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// No program for it can be run.
    #[error("there is no program for this. Install {packages}, and grant it. Tried: {tried}")]
    NoProgram {
        /// What to install.
        packages: &'static str,
        /// Each with its reason.
        tried: String,
    },
    /// One was there and did not do it.
    #[error("{tried}")]
    Failed {
        /// Each with its reason.
        tried: String,
    },
    /// Too many programs: later.
    #[error("too many programs are run at once; press again")]
    Later,
}

/// Does deeds, and remembers which program did them.
#[derive(Debug, Default)]
pub struct Doer {
    /// Programs that worked, each tried before others from then on.
    proven: Vec<&'static str>,
}

impl Doer {
    /// Does it; what the program wrote.
    ///
    /// # Errors
    /// No program is there, or none did it.
    pub fn perform(&mut self, deed: &Deed, runner: &mut impl Runner) -> Result<String, Undone> {
        let mut commands = ways(deed);
        // stable: the best first among those that are alike
        commands.sort_by_key(|command| !self.proven.contains(&command.program));
        // what one complained about comes first: long answers are cut
        let (mut complaints, mut others) = (Vec::new(), Vec::new());
        for command in &commands {
            match runner.run(command) {
                Ran::Well(written) => {
                    if !self.proven.contains(&command.program) {
                        self.proven.push(command.program);
                    }
                    return Ok(written);
                }
                Ran::Badly(code, complaint) => {
                    let complaint: String =
                        complaint.trim().chars().take_while(|&it| it != '\n').take(MAX_COMPLAINT).collect();
                    complaints.push(format!("{} ended with {code}: {complaint}", command.program));
                }
                Ran::Not(why) => others.push(format!("{}: {why}", command.program)),
                Ran::Later => return Err(Undone::Later),
            }
            // it may be gone, or the server it speaks to
            self.proven.retain(|proven| *proven != command.program);
        }
        let any_ran = !complaints.is_empty();
        complaints.append(&mut others);
        let tried = complaints.join("; ");
        Err(if any_ran { Undone::Failed { tried } } else { Undone::NoProgram { packages: packages(deed), tried } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::{Change, Media, Sound};
    use std::collections::HashMap;

    /// Programs that are there, and how they end.
    #[derive(Default)]
    struct Fake {
        there: HashMap<&'static str, Ran>,
        asked: Vec<&'static str>,
    }

    impl Fake {
        fn new(there: &[(&'static str, Ran)]) -> Self {
            Self { there: there.iter().cloned().collect(), asked: Vec::new() }
        }
    }

    impl Runner for Fake {
        fn run(&mut self, command: &Command) -> Ran {
            self.asked.push(command.program);
            let absent = || Ran::Not(format!("there is no program '{}'", command.program));
            self.there.get(command.program).cloned().unwrap_or_else(absent)
        }
    }

    const LOUDER: Deed = Deed::Volume(Sound::Output, Change::By(5));

    #[test]
    fn the_first_program_that_is_there_is_taken_and_from_then_on_tried_first() {
        let mut doer = Doer::default();
        let mut fake = Fake::new(&[("amixer", Ran::Well("fine".into()))]);
        assert_eq!(doer.perform(&LOUDER, &mut fake), Ok("fine".to_owned()));
        assert_eq!(fake.asked, ["wpctl", "pactl", "amixer"]);
        fake.asked.clear();
        doer.perform(&LOUDER, &mut fake).unwrap();
        assert_eq!(fake.asked, ["amixer"]);
        // it goes, and another comes
        let mut fake = Fake::new(&[("wpctl", Ran::Well(String::new()))]);
        doer.perform(&LOUDER, &mut fake).unwrap();
        assert_eq!(fake.asked, ["amixer", "wpctl"]);
    }

    #[test]
    fn where_nothing_is_there_the_packages_are_named() {
        let error = Doer::default().perform(&LOUDER, &mut Fake::default()).unwrap_err().to_string();
        for word in ["Install wireplumber", "pulseaudio-utils", "alsa-utils", "no program 'pactl'"] {
            assert!(error.contains(word), "{error}");
        }
        let media = Doer::default().perform(&Deed::Media(Media::Next, None), &mut Fake::default()).unwrap_err();
        assert!(media.to_string().contains("Install playerctl"), "{media}");
    }

    #[test]
    fn a_program_that_fails_makes_way_for_the_next_and_is_told_where_none_helps() {
        let broken = Ran::Badly(1, "Connection refused\n".into());
        let mut fake = Fake::new(&[("wpctl", broken.clone()), ("pactl", Ran::Well(String::new()))]);
        assert!(Doer::default().perform(&LOUDER, &mut fake).is_ok());
        let mut fake = Fake::new(&[("wpctl", broken)]);
        let error = Doer::default().perform(&LOUDER, &mut fake).unwrap_err().to_string();
        assert!(error.starts_with("wpctl ended with 1: Connection refused;"), "{error}");
    }

    #[test]
    fn too_many_at_once_is_no_reason_to_try_others() {
        let mut fake = Fake::new(&[("wpctl", Ran::Later), ("pactl", Ran::Well(String::new()))]);
        assert_eq!(Doer::default().perform(&LOUDER, &mut fake), Err(Undone::Later));
        assert_eq!(fake.asked, ["wpctl"]);
    }
}
