//! Listeners of Unix sockets.
//!
//! # The file of a socket
//!
//! A program that was killed leaves the file of its socket behind, and a bind to an existing file
//! fails. So before a bind the file is tried: if it is a socket and no process listens on it, it is
//! removed. A file that is no socket, and a socket that another program listens on, are left alone,
//! and the bind fails. Two programs that start at the same moment with the same path may both
//! remove the file; the last one that binds has the path, as without this check.
//!
//! The listener removes its file when it is closed, if the file is still its own, which its device
//! and inode numbers say.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::{UnixListener, UnixStream};

use crate::child::{ChildSpec, Keep, OnceChild, TaskContext};
use crate::exit::Result;
use crate::net::error::BindError;
use crate::net::listener::ListenerSpec;
use crate::net::port::{Borrow, Incoming, Listen, borrow};
use crate::net::tree::{connection, drained};

/// The port of a listener on a Unix socket: a path that is bound at the start, or a listener that
/// exists already, in a [`Keep`]. `ChildSpec::unix_listener` takes one, and has an example.
///
/// A socket file that a killed program left behind is removed before the bind: a file is left over
/// if it is a socket, and a connection to it is refused. A file that is no socket, and a socket that
/// a program listens on, are not touched, and the bind fails. When the listener is stopped for good,
/// or its specification is dropped, it removes its own file.
#[must_use = "it does nothing until a listener is given it"]
pub struct UnixPort {
    source: Source,
}

enum Source {
    Path(Arc<Path>),
    Kept(Keep<UnixListener>),
}

impl UnixPort {
    /// Returns the function that borrows the port, and whether the `Keep` is the user's.
    fn into_borrow(self) -> (Borrow<UnixStream>, bool) {
        match self.source {
            Source::Path(path) => {
                let bind = move || {
                    let path = path.clone();
                    async move {
                        bind(&path).await.map_err(|source| BindError {
                            address: path.display().to_string(),
                            source,
                        })
                    }
                };
                (borrow::<UnixStream, Bound>(Keep::new(bind)), false)
            }
            Source::Kept(keep) => (borrow(keep), true),
        }
    }
}

impl<P: AsRef<Path>> From<P> for UnixPort {
    fn from(path: P) -> Self {
        UnixPort { source: Source::Path(path.as_ref().into()) }
    }
}

impl From<Keep<UnixListener>> for UnixPort {
    fn from(keep: Keep<UnixListener>) -> Self {
        UnixPort { source: Source::Kept(keep) }
    }
}

impl fmt::Debug for UnixPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Path(path) => f.debug_tuple("UnixPort").field(path).finish(),
            Source::Kept(keep) => f.debug_tuple("UnixPort").field(keep).finish(),
        }
    }
}

/// A listener that owns its file. The drop removes the file.
struct Bound {
    listener: UnixListener,
    path: PathBuf,
    /// The device and inode numbers of the file.
    file: (u64, u64),
}

async fn bind(path: &Path) -> io::Result<Bound> {
    remove_left_over(path).await?;
    let listener = UnixListener::bind(path)?;
    let file = numbers(&std::fs::symlink_metadata(path)?);
    Ok(Bound { listener, path: path.to_owned(), file })
}

fn numbers(file: &std::fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Removes the file if it is a socket that no process listens on.
async fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = |file: std::fs::Metadata| file.file_type().is_socket();
    if !std::fs::symlink_metadata(path).is_ok_and(is_socket) {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let own = |file: std::fs::Metadata| numbers(&file) == self.file;
        if std::fs::symlink_metadata(&self.path).is_ok_and(own) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Incoming for UnixStream {
    fn refuse(self, answer: &[u8]) {
        // The connection is closed in any case.
        drop(self.try_write(answer));
    }

    fn set_nodelay(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}

impl Listen<UnixStream> for UnixListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        UnixListener::poll_accept(self, cx).map_ok(|(stream, _)| stream)
    }

    fn address(&self) -> String {
        let address = self.local_addr().ok();
        let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
        path.map_or_else(|| "a Unix socket".to_owned(), |path| path.display().to_string())
    }

    fn socket_address(&self) -> Option<SocketAddr> {
        None
    }
}

impl Listen<UnixStream> for Bound {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        Listen::poll_accept(&self.listener, cx)
    }

    fn address(&self) -> String {
        self.path.display().to_string()
    }

    fn socket_address(&self) -> Option<SocketAddr> {
        None
    }
}

#[cfg_attr(docsrs, doc(cfg(all(unix, feature = "net"))))]
impl ChildSpec {
    /// Specifies a listener that runs an async function for each connection to a Unix socket, in a
    /// process of its own. Needs the feature `net`. [`ListenerSpec`] describes the settings, and
    /// [`UnixPort`] what becomes of the file of the socket.
    ///
    /// Each connection clones the function. The id of each connection is `connection`.
    ///
    /// ```
    /// use regrow::{ChildSpec, Result, Runtime, Supervisor, TaskContext};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio::net::UnixStream;
    ///
    /// async fn greet(_: TaskContext, mut stream: UnixStream) -> Result {
    ///     stream.write_all(b"hello").await?;
    ///     Ok(())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let path = std::env::temp_dir().join(format!("regrow-greeter-{}", std::process::id()));
    /// let listener = ChildSpec::unix_listener("greeter", &path, greet);
    /// let tree = Supervisor::one_for_one().child(listener).start(&rt).await?;
    /// let mut text = String::new();
    /// UnixStream::connect(&path).await?.read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// tree.stop().await?;
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn unix_listener<F, Fut>(
        id: impl Into<String>,
        port: impl Into<UnixPort>,
        serve: F,
    ) -> ListenerSpec<UnixStream>
    where
        F: FnOnce(TaskContext, UnixStream) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let make = move |stream: UnixStream, drains| {
            let serve = serve.clone();
            ChildSpec::once_with("connection", stream, move |ctx, stream| {
                serve(drained(ctx, drains), stream)
            })
        };
        ListenerSpec::new(
            id,
            port.into().into_borrow(),
            Arc::new(move |client, settings| {
                connection(make(client, settings.drain.is_some()), settings)
            }),
        )
    }

    /// Specifies a listener that makes a child of each connection to a Unix socket, as
    /// [`tcp_listener_with`](Self::tcp_listener_with) does for TCP. Needs the feature `net`.
    pub fn unix_listener_with<F, V>(
        id: impl Into<String>,
        port: impl Into<UnixPort>,
        make: F,
    ) -> ListenerSpec<UnixStream>
    where
        F: Fn(UnixStream) -> OnceChild<V> + Send + Sync + 'static,
    {
        ListenerSpec::new(
            id,
            port.into().into_borrow(),
            Arc::new(move |stream, settings| connection(make(stream), settings)),
        )
    }
}
