//! A WebSocket client for the tests of both drivers: the client side of another
//! implementation, over a pipe in memory.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Client;

/// One client, and the task that serves it.
pub(super) struct TestClient {
    pub(super) socket: WebSocketStream<DuplexStream>,
    pub(super) server: JoinHandle<()>,
}

impl TestClient {
    /// Connects to what `serve` makes of the other end of the pipe.
    pub(super) async fn connect<F>(serve: impl FnOnce(DuplexStream, Client) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let client = Client {
            address: "192.0.2.1:1000".parse().unwrap(),
        };
        let server = tokio::spawn(serve(theirs, client));
        Self {
            socket: WebSocketStream::from_raw_socket(ours, Role::Client, None).await,
            server,
        }
    }

    pub(super) async fn say(&mut self, message: &Value) {
        let text = Message::text(message.to_string());
        self.socket.send(text).await.unwrap();
    }

    pub(super) async fn next(&mut self) -> Value {
        let message = self.socket.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Reads to the end and returns what it was closed with.
    pub(super) async fn close_code(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    /// Breaks the connection, without a goodbye, and waits until it was noticed.
    pub(super) async fn cut(self) {
        drop(self.socket);
        self.server.await.unwrap();
    }
}

/// What a socket's buffers hold, roughly.
const PIPE: usize = 32 << 10;
