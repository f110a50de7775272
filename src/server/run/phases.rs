//! The two phases of a server's body: `init`, and everything after it.
//!
//! The second phase is stored in the place of the first. So what only `init` needs, such as the
//! arguments of the server, takes no memory while the server waits for messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::driver::hosted::Slot;
use crate::kernel::End;

pin_project! {
    /// A body that begins with `init`. If `init` succeeds, its output is the future of the rest.
    #[project = Projected]
    pub(crate) enum Phases<Init, Rest> {
        Init { #[pin] init: Init },
        Rest { #[pin] rest: Rest },
        Cleared,
    }
}

impl<Init, Rest> Phases<Init, Rest> {
    pub(crate) fn new(init: Init) -> Self {
        Phases::Init { init }
    }
}

impl<Init, Rest> Slot for Phases<Init, Rest>
where
    Init: Future<Output = Result<Rest, End>>,
    Rest: Future<Output = End>,
{
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let rest = match self.as_mut().project() {
                Projected::Rest { rest } => return rest.poll(cx),
                Projected::Init { init } => match ready!(init.poll(cx)) {
                    Ok(rest) => rest,
                    Err(end) => return Poll::Ready(end),
                },
                // A body is not polled after its drop.
                Projected::Cleared => return Poll::Pending,
            };
            self.set(Phases::Rest { rest });
        }
    }

    fn clear(mut self: Pin<&mut Self>) {
        self.set(Phases::Cleared);
    }
}
