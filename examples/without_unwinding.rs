//! The error that regrow logs in a program built with `panic = "abort"`.
//!
//! In such a program no crash can be caught, so no child can be restarted. You learn how regrow
//! reports that line of a profile.
//!
//! ```text
//! cargo run --example without_unwinding                    logs nothing
//! cargo run --profile abort --example without_unwinding    logs one ERROR
//! ```

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use regrow::Runtime;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() {
    let log = Log::default();
    tracing_subscriber::registry().with(log.clone()).init();
    drop((Runtime::new(), Runtime::new()));

    let logged = log.0.lock().unwrap();
    if cfg!(panic = "abort") {
        let [line] = &logged[..] else { panic!("expected one line, got {logged:?}") };
        assert!(line.starts_with("ERROR") && line.contains("nothing will be restarted"), "{line}");
        println!("{line}");
    } else {
        assert!(logged.is_empty(), "{logged:?}");
        println!("This program unwinds: its crashes can be caught.");
    }
}

/// Collects every event, as "LEVEL message".
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
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
