//! What regrow says in a program built with `panic = "abort"`.
//!
//! There no crash can be caught, so nothing can be restarted, and a supervision tree
//! would be a silent lie. You learn where to look when that line is in your profile.
//!
//! ```text
//! cargo run --example without_unwinding                    says nothing
//! cargo run --profile abort --example without_unwinding    says so, once
//! ```

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use regrow::Runtime;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() {
    let said = Said::default();
    tracing_subscriber::registry().with(said.clone()).init();
    drop((Runtime::new(), Runtime::new()));

    let said = said.0.lock().unwrap();
    if cfg!(panic = "abort") {
        let [line] = &said[..] else { panic!("expected one line, got {said:?}") };
        assert!(line.starts_with("ERROR") && line.contains("nothing will be restarted"), "{line}");
        println!("{line}");
    } else {
        assert!(said.is_empty(), "{said:?}");
        println!("This program unwinds: its crashes can be caught.");
    }
}

/// Every event, as "LEVEL message".
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let line = format!("{} {}", event.metadata().level(), message.0);
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
