//! A child with arguments that are not `Clone`.
use regrow::{GenServer, Reply, Result, ServerContext};

struct Log(Box<dyn std::io::Write + Send + Sync>);

impl GenServer for Log {
    type Args = Box<dyn std::io::Write + Send + Sync>;
    type Call = Reply<()>;
    type Cast = String;

    async fn init(out: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Log(out))
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        self.0.flush()?;
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, line: String, _: &mut ServerContext<Self>) -> Result {
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

fn main() {
    Log::child(Box::new(std::io::stderr()));
}
