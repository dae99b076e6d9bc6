use super::*;
use midimon_plugin::test::{Answer, Call, Driver, Request};
use obs_server::Server;
use std::net::TcpStream;

/// The plugin, with midimon's connections made here.
fn start(server: &Server) -> Driver<Obs> {
    let address = server.address();
    let settings = format!(r#"{{"address":" {address} ","password":"geheim"}}"#);
    let answers = move |request: &Request| match request {
        Request::Connect { target } if *target == address.to_string() => match TcpStream::connect(address) {
            Ok(stream) => Answer::Connected(stream),
            Err(error) => Answer::Refused(Refusal::Failed, error.to_string()),
        },
        Request::Connect { target } => Answer::Refused(Refusal::NotGranted, target.clone()),
        _ => Answer::Done,
    };
    Driver::start_with(&settings, answers).unwrap()
}

fn emitted(plugin: &Driver<Obs>) -> Vec<String> {
    let requests = plugin.requests().into_iter();
    requests
        .filter_map(|request| match request {
            Request::Emit { event, value } => Some(format!("{event}={value}")),
            _ => None,
        })
        .collect()
}

/// How often it has asked for a connection.
fn connects(plugin: &Driver<Obs>) -> usize {
    plugin.requests().iter().filter(|request| matches!(request, Request::Connect { .. })).count()
}

/// Calls it as its timer does until it is so.
fn looks_until(plugin: &mut Driver<Obs>, what: &str, holds: fn(&Driver<Obs>) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds(plugin) {
        assert!(Instant::now() < deadline, "never: {what}");
        plugin.call(&Call::new(LOOK).trigger(Trigger::Timer)).unwrap();
        std::thread::sleep(Duration::from_millis(5)); // its timer comes no faster
    }
}

#[test]
fn a_press_is_done_and_what_comes_of_it_is_emitted() {
    let server = Server::start(0, "geheim").unwrap();
    let mut plugin = start(&server);
    assert!(matches!(&plugin.requests()[..], [Request::Every { ms: 100, action, .. }] if action == LOOK));
    let call = Call::new("switch_scene").params(r#"{"scene":"Live"}"#).note(36, 100);
    assert_eq!(plugin.call(&call).unwrap().answer.as_deref(), Some("done"));
    assert_eq!(server.studio().scene, "Live");
    let first = ["connection=open", "scene_changed=Start", "record=stopped", "stream=stopped", "scene_changed=Live"];
    assert_eq!(emitted(&plugin), first);
    plugin.call(&Call::new("set_volume").params(r#"{"input":"Mic"}"#).note(36, 0)).unwrap();
    assert_eq!(server.studio().inputs["Mic"].volume, 0.0);
}

#[test]
fn the_timer_connects_and_tells_a_failure_once() {
    let server = Server::start(0, "geheim").unwrap();
    let mut plugin = start(&server);
    plugin.call(&Call::new(LOOK).trigger(Trigger::Timer)).unwrap();
    assert_eq!(emitted(&plugin)[0], "connection=open");
    drop(server);
    looks_until(&mut plugin, "its end, and the first try after it", |plugin| plugin.logged().len() > 1);
    assert!(emitted(&plugin).contains(&"connection=lost".to_owned()));
    let logged = plugin.logged();
    assert_eq!(logged.len(), 2, "{logged:?}");
    assert!(logged[1].1.contains("cannot be reached"), "{logged:?}");
    looks_until(&mut plugin, "two more tries", |plugin| connects(plugin) >= 4);
    assert_eq!(plugin.logged(), logged, "it was tried again, and failed as before");
}

#[test]
fn what_is_not_granted_or_not_set_says_what_to_do() {
    let mut plugin = Driver::<Obs>::start_with(r#"{"address":"localhost:4455"}"#, |request| match request {
        Request::Connect { .. } => Answer::Refused(Refusal::NotGranted, "no".to_owned()),
        _ => Answer::Done,
    })
    .unwrap();
    let error = plugin.call(&Call::new("start_recording")).unwrap_err();
    assert!(error.message().contains("midimon plugin grant obs network:localhost:4455"), "{}", error.message());
    let mut plugin = Driver::<Obs>::start("{}").unwrap();
    assert_eq!(plugin.requests(), [], "no timer looks for nobody");
    let error = plugin.call(&Call::new("start_recording")).unwrap_err();
    assert!(error.message().contains("midimon plugin config set obs address"), "{}", error.message());
    assert!(plugin.call(&Call::new(LOOK).trigger(Trigger::Timer)).is_ok());
    assert!(plugin.call(&Call::new(LOOK)).is_err(), "only the timer looks");
}

#[test]
fn every_action_of_the_manifest_is_one_and_its_example_works() {
    let manifest: toml::Table = include_str!("../plugin.toml").parse().unwrap();
    let actions = manifest["actions"].as_array().unwrap();
    assert!(actions.len() > 20);
    for action in actions {
        let name = action["name"].as_str().unwrap();
        let example =
            action.get("example").map_or_else(|| "{}".to_owned(), |example| serde_json::to_string(example).unwrap());
        assert!(actions::plan(name, &example, None).is_ok(), "{name} {example}");
    }
}
