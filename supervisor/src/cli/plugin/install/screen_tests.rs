use super::*;
use crate::plugins::install::plan::Before;
use crate::plugins::install::testing::{asks, before, first, update, wants};

const FOUR: [(&str, &str); 4] = [
    ("filesystem", "keeps your scene lists"),
    ("network:api.example.org:443", "looks up the names of games"),
    ("midi:Launchpad Mini MK3", "lights the pads in the colours of the scenes"),
    ("input", "presses the hot-keys of programs that have no other interface"),
];

fn four(reason: impl Fn(&str) -> String) -> String {
    FOUR.iter().map(|(capability, why)| wants(capability, &reason(why))).collect()
}

#[test]
fn four_capabilities_fit_a_terminal_of_80_by_24_whatever_their_reasons() {
    for repeat in [1, 4] {
        let plan = first(&four(|why| why.repeat(repeat)));
        // three lines for the questions
        let text = screen(&plan, &Look::plain(80), 24 - 3);
        assert!(text.lines().count() <= 21, "{} lines:\n{text}", text.lines().count());
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        for (capability, _) in FOUR {
            let sentence = words::sentence(&capability.parse().unwrap());
            let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&sentence), "{sentence} is whole in\n{text}");
        }
        let high = text.find("HIGH RISK").unwrap();
        assert!(text.find("press keys").unwrap() > high && text.find("keep files").unwrap() < high, "{text}");
    }
}

#[test]
fn reasons_are_quoted_claims_that_cannot_close_their_quotation() {
    let plan = first(&wants("filesystem", "x' Allowed: everything. “ok” Install it? [y]es"));
    let text = screen(&plan, &Look::plain(100), 24);
    let line = text.lines().find(|line| line.contains("It says:")).unwrap();
    assert!(line.trim_start().starts_with("It says: \"x' Allowed"), "{text}");
    assert_eq!(line.matches('"').count(), 2, "{line}");
}

#[test]
fn claims_are_cut_and_targets_never() {
    let target = format!("{}.example.org:443", ["a"; 60].concat());
    let plan = first(&wants(&format!("network:{target}"), &"long ".repeat(59)));
    let text = screen(&plan, &Look::plain(60), 10);
    let flat: String = text.split_whitespace().collect();
    assert!(flat.contains(&target), "{text}");
    assert!(text.contains("…\""), "the claim is cut, and closed: {text}");
}

#[test]
fn an_update_shows_what_is_new_in_bold_and_the_rest_in_a_line() {
    let there = before(&["filesystem", "audio", "midi:Old"], &["filesystem", "midi:Old"]);
    let plan = update(&[wants("filesystem", "a"), wants("audio", "b"), wants("system-control", "c")].concat(), &there);
    let look = Look { coloured: true, width: 80 };
    let text = screen(&plan, &look, 24);
    assert!(text.contains("Update obs-control 1.0.0 to 1.1.0"), "{text}");
    assert!(text.contains("\x1b[1mchange volume"), "bold: {text:?}");
    assert!(!text.contains("keep files"), "what is known is not told again: {text}");
    let plain = screen(&plan, &Look::plain(80), 24);
    for line in ["Allowed      filesystem", "Denied       audio", "Dropped      midi:Old"] {
        assert!(plain.contains(line), "{line} in\n{plain}");
    }
}

#[test]
fn the_signer_is_who_the_user_named_never_who_the_package_names() {
    let mut plan = first("");
    assert!(screen(&plan, &Look::plain(80), 24).contains("Signed by    \"Ada Lovelace\", trusted since 2026-11-20"));
    let key = *plan.signer.key().unwrap();
    plan.signer = Signer::Key(key, Known::New);
    let text = screen(&plan, &Look::plain(80), 24);
    assert!(text.contains("never seen here") && text.contains(&key.fingerprint().to_string()), "{text}");
    plan.signer = Signer::Nobody;
    let text = screen(&plan, &Look::plain(80), 24);
    assert!(text.contains("Signed by    nobody") && !text.contains("It gets"), "{text}");
    plan.takes_over = true;
    assert!(screen(&plan, &Look::plain(80), 24).contains("It gets      the data and settings"));
}

#[test]
fn several_targets_of_one_request_share_its_reason() {
    let more =
        "[[capabilities]]\ncapability = \"network\"\ntargets = [\"a.example:1\", \"b.example:1\"]\nreason = \"r\"\n";
    let text = screen(&first(more), &Look::plain(80), 24);
    assert_eq!((text.matches("connect to").count(), text.matches("It says").count()), (2, 1), "{text}");
}

#[test]
fn a_question_for_a_target_is_shown_before_it_is_asked() {
    let text = screen(&first(&asks("Address of OBS")), &Look::plain(80), 24);
    assert!(text.contains("connect to the one address that you type"), "{text}");
}

#[test]
fn a_plugin_that_wants_nothing_is_said_to() {
    assert!(screen(&first(""), &Look::plain(80), 24).contains("asks for nothing"));
}

#[test]
fn wide_and_long_words_are_broken_and_nothing_is_lost() {
    for width in [4, 7, 80] {
        let text = "ピアノ ab abcdefghijkl  z";
        let lines = wrap(text, width);
        assert!(lines.iter().all(|line| line.width() <= width), "{lines:?}");
        let all = |text: &str| text.chars().filter(|character| *character != ' ').collect::<String>();
        assert_eq!(all(&lines.concat()), all(text));
    }
}

#[test]
fn what_is_new_stands_last_however_much_was_agreed_to_before() {
    let ports: Vec<String> = (1..=100).map(|number| format!("midi:Port {number} of the studio rack")).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let there = before(&ports, &ports);
    let targets: Vec<String> = ports[..60].iter().map(|port| format!("\"{}\"", &port["midi:".len()..])).collect();
    let known =
        format!("[[capabilities]]\ncapability = \"midi\"\ntargets = [{}]\nreason = \"r\"\n", targets.join(", "));
    let new = wants("network:evil.example:443", "n");
    let plan = update(&[known, new].concat(), &there);
    let text = screen(&plan, &Look::plain(80), 20);
    assert!(text.lines().count() <= 20, "{} lines:\n{text}", text.lines().count());
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in\n{text}"));
    assert!(at("Allowed") < at("NEW:") && at("Dropped") < at("NEW:") && at("NEW:") < at("evil.example"), "{text}");
    assert!(text.contains("more; `midimon plugin info obs-control` lists all"), "{text}");
}

#[test]
fn a_fingerprint_is_whole_on_the_narrowest_terminal() {
    let plan = first(&FOUR.iter().map(|(capability, why)| wants(capability, why)).collect::<String>());
    let text = screen(&plan, &Look::plain(20), 5);
    let flat: String = text.split_whitespace().collect();
    let key = *plan.signer.key().unwrap();
    let fingerprint: String = key.fingerprint().to_string().split_whitespace().collect();
    assert!(flat.contains(&fingerprint), "{text}");
}

fn login(scope: &str) -> String {
    format!(
        "[[settings]]\nname = \"token\"\ntype = \"string\"\nsecret = true\n[login]\nkind = \"oauth2-pkce\"\n\
         authorize_url = \"https://accounts.example.org/a\"\ntoken_url = \"https://accounts.example.org/t\"\n\
         client_id = \"abc\"\nscopes = [\"{scope}\"]\nrefresh_token_setting = \"token\"\nreason = \"plays\"\n"
    )
}

#[test]
fn a_login_is_shown_before_it_is_agreed_to_and_again_when_it_is_for_more() {
    let text = screen(&first(&login("play")), &Look::plain(80), 24);
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("can do nothing else: Login log in to \"accounts.example.org\" as you for \"play\","),
        "{text}"
    );
    assert!(flat.contains("It says: \"plays\""), "{text}");

    let there = Before { login: first(&login("play")).login.map(|login| login.target), ..before(&[], &[]) };
    let same = update(&login("play"), &there);
    assert!(same.needs_no_consent() && !screen(&same, &Look::plain(80), 24).contains("log in"));
    for more in [login("play").replace("example.org/t", "example.net/t"), login("delete")] {
        let plan = update(&more, &there);
        assert!(!plan.needs_no_consent());
        assert!(screen(&plan, &Look::plain(80), 24).contains("NEW: "), "{more}");
    }
    let now = update(&login("play"), &before(&[], &[]));
    assert!(!now.needs_no_consent() && now.new_login().is_some());
}
