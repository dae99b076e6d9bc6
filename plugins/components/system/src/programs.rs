//! Which programs can do a deed, the best first, and the packages that have them. Pure.

use crate::deed::{Change, Deed, Media, Sound, Switch, Urgency};

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, as it is granted.
    pub program: &'static str,
    /// What it is given.
    pub arguments: Vec<String>,
}

fn command<const N: usize>(program: &'static str, arguments: [&str; N]) -> Command {
    Command { program, arguments: arguments.map(str::to_owned).into() }
}

/// The ways to do a deed.
pub fn ways(deed: &Deed) -> Vec<Command> {
    match deed {
        Deed::Volume(sound, change) => volume(*sound, *change),
        Deed::Mute(sound, switch) => mute(*sound, *switch),
        Deed::Brightness(change) => brightness(*change),
        Deed::Media(media, player) => vec![playerctl(*media, player.as_deref())],
        Deed::Notify { title, body, urgency } => {
            let urgency = match urgency {
                Urgency::Low => "low",
                Urgency::Normal => "normal",
                Urgency::Critical => "critical",
            };
            vec![command("notify-send", ["--app-name=midimon", "--urgency", urgency, "--", title, body])]
        }
        Deed::Lock => vec![command("loginctl", ["lock-session"]), command("xdg-screensaver", ["lock"])],
        Deed::Screenshot(path) => vec![
            command("grim", [path]),
            command("gnome-screenshot", ["--file", path]),
            command("spectacle", ["--background", "--nonotify", "--output", path]),
            command("scrot", [path]),
        ],
        // programs that keep the text after they have returned: wl-copy and xclip hold it in a
        // process of their own, which ends with whatever else a plugin started
        Deed::Copy(text) => vec![
            command("copyq", ["copy", "--", text]),
            command("qdbus6", ["org.kde.klipper", "/klipper", "setClipboardContents", text]),
            command("qdbus", ["org.kde.klipper", "/klipper", "setClipboardContents", text]),
            command("gpaste-client", ["add", text]),
        ],
        Deed::Paste => vec![
            command("wl-paste", ["--no-newline"]),
            command("xclip", ["-selection", "clipboard", "-out"]),
            command("xsel", ["--clipboard", "--output"]),
        ],
    }
}

/// What to install where none of them is there.
pub const fn packages(deed: &Deed) -> &'static str {
    match deed {
        Deed::Volume(..) | Deed::Mute(..) => "wireplumber (wpctl), pulseaudio-utils (pactl) or alsa-utils (amixer)",
        Deed::Brightness(_) => "brightnessctl or light",
        Deed::Media(..) => "playerctl",
        Deed::Notify { .. } => "libnotify-bin (notify-send)",
        Deed::Lock => "systemd (loginctl) or xdg-utils (xdg-screensaver)",
        Deed::Screenshot(_) => "grim (Wayland), gnome-screenshot, kde-spectacle or scrot (X11)",
        Deed::Copy(_) => "copyq, klipper with qdbus, or gpaste",
        Deed::Paste => "wl-clipboard (wl-paste), xclip or xsel",
    }
}

fn volume(sound: Sound, change: Change) -> Vec<Command> {
    let (wireplumber, pulse, verb, alsa) = names(sound);
    let (wpctl, pactl) = match change {
        Change::To(percent) => (format!("{percent}%"), format!("{percent}%")),
        Change::By(by) => (step(by), format!("{by:+}%")),
    };
    // amixer takes a step as wpctl does
    vec![
        command("wpctl", ["set-volume", "--limit", "1.0", wireplumber, &wpctl]),
        command("pactl", [&format!("set-{verb}-volume"), pulse, &pactl]),
        command("amixer", ["--quiet", "sset", alsa, &wpctl]),
    ]
}

fn mute(sound: Sound, switch: Switch) -> Vec<Command> {
    let (wireplumber, pulse, verb, alsa) = names(sound);
    let number = match switch {
        Switch::On => "1",
        Switch::Off => "0",
        Switch::Toggle => "toggle",
    };
    let amixer = match (sound, switch) {
        (_, Switch::Toggle) => "toggle",
        (Sound::Output, Switch::On) => "mute",
        (Sound::Output, Switch::Off) => "unmute",
        (Sound::Microphone, Switch::On) => "nocap",
        (Sound::Microphone, Switch::Off) => "cap",
    };
    vec![
        command("wpctl", ["set-mute", wireplumber, number]),
        command("pactl", [&format!("set-{verb}-mute"), pulse, number]),
        command("amixer", ["--quiet", "sset", alsa, amixer]),
    ]
}

/// What it is called: by WirePlumber, by PulseAudio, in its verbs, by ALSA.
const fn names(sound: Sound) -> (&'static str, &'static str, &'static str, &'static str) {
    match sound {
        Sound::Output => ("@DEFAULT_AUDIO_SINK@", "@DEFAULT_SINK@", "sink", "Master"),
        Sound::Microphone => ("@DEFAULT_AUDIO_SOURCE@", "@DEFAULT_SOURCE@", "source", "Capture"),
    }
}

fn brightness(change: Change) -> Vec<Command> {
    let (brightnessctl, light) = match change {
        // a screen at 0 % is black, and nobody finds the way back
        Change::To(percent) => (format!("{}%", percent.max(1)), ["-S".to_owned(), percent.max(1).to_string()]),
        Change::By(by) => (step(by), [if by < 0 { "-U" } else { "-A" }.to_owned(), by.unsigned_abs().to_string()]),
    };
    vec![
        command("brightnessctl", ["--quiet", "--min-value=1", "set", &brightnessctl]),
        Command { program: "light", arguments: light.into() },
    ]
}

/// `5%+` and `5%-`.
fn step(by: i8) -> String {
    format!("{}%{}", by.unsigned_abs(), if by < 0 { '-' } else { '+' })
}

fn playerctl(media: Media, player: Option<&str>) -> Command {
    let verb = match media {
        Media::PlayPause => "play-pause",
        Media::Play => "play",
        Media::Pause => "pause",
        Media::Stop => "stop",
        Media::Next => "next",
        Media::Previous => "previous",
    };
    let player = player.map(|player| format!("--player={player}"));
    Command { program: "playerctl", arguments: player.into_iter().chain([verb.to_owned()]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(deed: &Deed) -> Vec<String> {
        let line = |command: Command| format!("{} {}", command.program, command.arguments.join(" "));
        ways(deed).into_iter().map(line).collect()
    }

    #[test]
    fn volume_is_set_stepped_and_muted_by_each_program() {
        assert_eq!(
            lines(&Deed::Volume(Sound::Output, Change::To(40))),
            [
                "wpctl set-volume --limit 1.0 @DEFAULT_AUDIO_SINK@ 40%",
                "pactl set-sink-volume @DEFAULT_SINK@ 40%",
                "amixer --quiet sset Master 40%"
            ]
        );
        assert_eq!(
            lines(&Deed::Volume(Sound::Microphone, Change::By(-5))),
            [
                "wpctl set-volume --limit 1.0 @DEFAULT_AUDIO_SOURCE@ 5%-",
                "pactl set-source-volume @DEFAULT_SOURCE@ -5%",
                "amixer --quiet sset Capture 5%-"
            ]
        );
        assert_eq!(lines(&Deed::Volume(Sound::Output, Change::By(5)))[1], "pactl set-sink-volume @DEFAULT_SINK@ +5%");
        assert_eq!(
            lines(&Deed::Mute(Sound::Microphone, Switch::On)),
            [
                "wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 1",
                "pactl set-source-mute @DEFAULT_SOURCE@ 1",
                "amixer --quiet sset Capture nocap"
            ]
        );
        assert_eq!(lines(&Deed::Mute(Sound::Output, Switch::Toggle))[2], "amixer --quiet sset Master toggle");
    }

    #[test]
    fn a_screen_never_goes_black() {
        assert_eq!(
            lines(&Deed::Brightness(Change::To(0))),
            ["brightnessctl --quiet --min-value=1 set 1%", "light -S 1"]
        );
        assert_eq!(
            lines(&Deed::Brightness(Change::By(-10))),
            ["brightnessctl --quiet --min-value=1 set 10%-", "light -U 10"]
        );
        assert_eq!(lines(&Deed::Brightness(Change::By(-128)))[1], "light -U 128");
    }

    #[test]
    fn media_keys_go_to_a_player_where_one_is_named() {
        assert_eq!(lines(&Deed::Media(Media::Next, None)), ["playerctl next"]);
        assert_eq!(lines(&Deed::Media(Media::PlayPause, Some("mpd".into()))), ["playerctl --player=mpd play-pause"]);
    }

    #[test]
    fn a_text_is_one_argument_and_never_an_option() {
        let notify = Deed::Notify { title: "--help".into(), body: "a b".into(), urgency: Urgency::Low };
        assert_eq!(ways(&notify)[0].arguments[3..], ["--", "--help", "a b"]);
        assert_eq!(ways(&Deed::Copy("$(x) --y".into()))[0].arguments, ["copy", "--", "$(x) --y"]);
    }

    #[test]
    fn every_program_that_can_be_run_is_asked_for_in_the_manifest_and_no_other() {
        let manifest = include_str!("../plugin.toml");
        let mut asked: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("targets = [")?.strip_suffix(']'))
            .flat_map(|targets| targets.split(", ").map(|target| target.trim_matches('"')))
            .collect();
        let all = [
            Deed::Volume(Sound::Output, Change::To(0)),
            Deed::Mute(Sound::Output, Switch::On),
            Deed::Brightness(Change::To(0)),
            Deed::Media(Media::Play, None),
            Deed::Notify { title: String::new(), body: String::new(), urgency: Urgency::Low },
            Deed::Lock,
            Deed::Screenshot(String::new()),
            Deed::Copy(String::new()),
            Deed::Paste,
        ];
        let mut run: Vec<&str> = all.iter().flat_map(ways).map(|command| command.program).collect();
        asked.sort_unstable();
        run.sort_unstable();
        run.dedup();
        assert_eq!(asked, run);
    }
}
