//! One WebSocket from its upgrade to its end: reads frames, writes what the
//! outbox holds, pings, and notices when the other side is gone.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::clock;

use super::outbox::{Closing, Next, Outbox};

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The client said goodbye: it closed with 1000 or 1001.
    Goodbye,
    /// The client is gone, or we closed.
    Lost,
}

/// What a WebSocket may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest message in bytes.
    pub(super) message: usize,
    /// Silence after which we ping.
    pub(super) ping_after: Duration,
    /// Silence after which we close.
    pub(super) dead_after: Duration,
    /// What a binary frame and a silent client are closed with.
    pub(super) codes: Codes,
}

/// Close codes that the socket itself needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codes {
    /// A binary frame.
    pub(super) binary: u16,
    /// Silence.
    pub(super) idle: u16,
}

/// Runs a WebSocket until it ends. `on_text` gets every text message; it must
/// not block.
pub(super) async fn run(
    io: impl AsyncRead + AsyncWrite + Unpin,
    limits: Limits,
    outbox: &Outbox,
    mut on_text: impl FnMut(&str),
) -> End {
    let config = Some(config(limits.message));
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, config).await;
    let mut heard = clock::now();
    let mut pinged = heard;
    loop {
        match outbox.take() {
            Next::Write(messages) => {
                if let Err(closing) = write(&mut socket, messages, limits, outbox).await {
                    return end(&mut socket, closing).await;
                }
            }
            Next::Close(messages, closing) => {
                let written = write(&mut socket, messages, limits, outbox).await;
                let closing = written.err().unwrap_or(Some(closing));
                return end(&mut socket, closing).await;
            }
            Next::Wait => {}
        }
        let ping_at = heard.max(pinged) + limits.ping_after;
        let dead_at = heard + limits.dead_after;
        tokio::select! {
            () = outbox.changed() => {}
            frame = socket.next() => {
                heard = clock::now();
                match frame {
                    Some(Ok(Message::Text(text))) => on_text(&text),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Binary(_))) => outbox.close(Closing {
                        code: limits.codes.binary,
                        reason: "only text messages",
                        flushes: true,
                    }),
                    Some(Ok(Message::Close(frame))) => {
                        let is_goodbye = frame.is_some_and(|frame| GOODBYES.contains(&frame.code.into()));
                        // Our close frame is the answer; it is written here.
                        let _ = timeout(CLOSE_TIMEOUT, socket.flush()).await;
                        return if is_goodbye { End::Goodbye } else { End::Lost };
                    }
                    Some(Err(error)) => return end(&mut socket, broken(&error)).await,
                    None => return End::Lost,
                }
            }
            () = sleep_until(ping_at.min(dead_at).into()) => {
                let now = clock::now();
                if now >= dead_at {
                    return end(&mut socket, Some(idle(limits))).await;
                }
                pinged = now;
                let ping = socket.send(Message::Ping(bytes::Bytes::new()));
                if !is_written(ping, dead_at).await {
                    return End::Lost;
                }
            }
        }
    }
}

/// Writes a batch; the error is how to end, `None` when nobody is there.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    messages: Vec<Utf8Bytes>,
    limits: Limits,
    outbox: &Outbox,
) -> Result<(), Option<Closing>> {
    let deadline = clock::now() + limits.dead_after;
    let written = async {
        for message in messages {
            socket.feed(Message::Text(message)).await?;
        }
        socket.flush().await
    };
    tokio::pin!(written);
    loop {
        tokio::select! {
            result = &mut written => return result.map_err(|_| None),
            () = outbox.changed() => {
                if let Some(closing) = outbox.closes_at_once() {
                    return Err(Some(closing));
                }
                // Messages only: they are taken after these.
            }
            () = sleep_until(deadline.into()) => return Err(Some(idle(limits))),
        }
    }
}

/// Closes from our side: says why, and gives the client a moment to agree.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    closing: Option<Closing>,
) -> End {
    let Some(closing) = closing else {
        return End::Lost;
    };
    let frame = CloseFrame {
        code: closing.code.into(),
        reason: closing.reason.into(),
    };
    let goodbye = async {
        socket.close(Some(frame)).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, Error>(())
    };
    let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    End::Lost
}

async fn is_written(work: impl Future<Output = Result<(), Error>>, deadline: Instant) -> bool {
    tokio::time::timeout_at(deadline.into(), work)
        .await
        .is_ok_and(|result| result.is_ok())
}

/// What to say to a client whose frames cannot be read (RFC 6455 section 7.4.1).
fn broken(error: &Error) -> Option<Closing> {
    let (code, reason) = if matches!(error, Error::Capacity(CapacityError::MessageTooLong { .. })) {
        (1009, "message too long")
    } else if matches!(error, Error::Utf8(_)) {
        (1007, "text is not UTF-8")
    } else if matches!(error, Error::Protocol(_)) {
        (1002, "broken frame")
    } else {
        return None;
    };
    Some(Closing {
        code,
        reason,
        flushes: false,
    })
}

const fn idle(limits: Limits) -> Closing {
    Closing {
        code: limits.codes.idle,
        reason: "nothing came for too long",
        flushes: false,
    }
}

fn config(message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

/// Normal closure and going away (RFC 6455 section 7.4.1).
const GOODBYES: [u16; 2] = [1000, 1001];

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An idle connection holds this much; it grows for a longer message.
const READ_BUFFER: usize = 1 << 10;

const WRITE_BUFFER: usize = 4 << 10;

/// One batch of the outbox, with its frame headers, fits.
const MAX_WRITE_BUFFER: usize = 1 << 20;
