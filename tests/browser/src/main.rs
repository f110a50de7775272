fn main() { let _ = fantoccini::ClientBuilder::new; }
