//! {{name}}: greets somebody when a pad is hit.
#![deny(unsafe_code)]

use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, export_plugin};

#[derive(Default)]
struct Hello {
    host: Option<Host>,
    greeted: u64,
}

impl Plugin for Hello {
    fn describe() -> Metadata {
        Metadata { name: "{{name}}", version: env!("CARGO_PKG_VERSION"), description: "Greets somebody" }
    }

    fn init(&mut self, host: Host, _settings: &Params<'_>) -> Result<(), Error> {
        self.host = Some(host);
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        match action {
            "greet" => {
                let name: Option<String> = params.optional("name")?;
                let name = name.unwrap_or_else(|| "you".to_owned());
                self.greeted += 1;
                // velocity is there when a pad was hit
                let mark = if context.velocity.is_some_and(|velocity| velocity > 100) { "!" } else { "" };
                let greeting = format!("hello {name}{mark}");
                if let Some(host) = self.host {
                    host.log(Level::Info, &format!("{greeting} (number {})", self.greeted));
                }
                Ok(Outcome::answer(greeting))
            }
            _ => Err(Error::unknown_action(action)),
        }
    }
}

export_plugin!(Hello);

#[cfg(test)]
mod tests {
    use super::*;
    use midimon_plugin::test::{Call, Driver};

    #[test]
    fn a_hard_hit_is_a_loud_hello() {
        let mut plugin = Driver::<Hello>::start("{}").unwrap();
        let soft = plugin.call(&Call::new("greet")).unwrap();
        assert_eq!(soft.answer.as_deref(), Some("hello you"));
        let hard = plugin.call(&Call::new("greet").params(r#"{"name":"Ada"}"#).note(36, 127)).unwrap();
        assert_eq!(hard.answer.as_deref(), Some("hello Ada!"));
        assert_eq!(plugin.logged()[1].1, "hello Ada! (number 2)");
    }

    #[test]
    fn a_name_that_is_no_text_is_an_error_that_says_so() {
        let mut plugin = Driver::<Hello>::start("{}").unwrap();
        let error = plugin.call(&Call::new("greet").params(r#"{"name":7}"#)).unwrap_err();
        assert_eq!(error.message(), "'name': expected a text, got 7");
    }
}
