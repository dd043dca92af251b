//! Messages of clients, read with their lengths checked before anything is kept: no byte sequence is trusted.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message before a client has said who it is, bytes.
pub(super) const MAX_STARTUP_BYTES: usize = 10_000;

/// The longest message that a client may send, bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Why a client is not listened to any longer.
#[derive(Debug)]
pub(super) enum Violation {
    /// The connection ended or failed.
    Gone,
    /// The message cannot be: what is wrong with it.
    Malformed(String),
}

impl From<std::io::Error> for Violation {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// What a client sends first.
#[derive(Debug)]
pub(super) enum Opening {
    Ssl,
    GssEnc,
    Cancel { pid: i32, secret: Bytes },
    Startup { major: u16, minor: u16, parameters: Vec<(String, String)> },
}

/// What a client sends after that.
#[derive(Debug)]
pub(super) enum Message {
    Query(String),
    Parse {
        name: String,
        query: String,
        kinds: Vec<u32>,
    },
    Bind(Bind),
    Describe {
        portal: bool,
        name: String,
    },
    Execute {
        portal: String,
        max_rows: i32,
    },
    Close {
        portal: bool,
        name: String,
    },
    Sync,
    Flush,
    Terminate,
    /// A part of an authentication exchange.
    Password(Bytes),
    CopyData(Bytes),
    CopyDone,
    /// Why the client gave up.
    CopyFail(String),
}

/// A `Bind` message.
#[derive(Debug)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<i16>,
}

/// Read the packet that has no type byte.
pub(super) async fn read_opening(socket: &mut (impl AsyncRead + Unpin)) -> Result<Opening, Violation> {
    let length = usize::try_from(socket.read_i32().await?).unwrap_or(0);
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err(Violation::Malformed("invalid length of startup packet".to_owned()));
    }
    let mut body = vec![0; length - 4];
    socket.read_exact(&mut body).await?;
    let mut body = Fields(Bytes::from(body));
    match (body.u16()?, body.u16()?) {
        (1234, 5679) => Ok(Opening::Ssl),
        (1234, 5680) => Ok(Opening::GssEnc),
        (1234, 5678) => Ok(Opening::Cancel { pid: body.i32()?, secret: body.0 }),
        (major, minor) => {
            let mut parameters = Vec::new();
            loop {
                let name = body.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, body.text()?));
            }
            Ok(Opening::Startup { major, minor, parameters })
        }
    }
}

/// Read one message. Its bytes are only made room for as they arrive.
pub(super) async fn read_message(
    socket: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<(Message, usize), Violation> {
    let kind = socket.read_u8().await?;
    if !b"QPBDECSHXpdcfF".contains(&kind) {
        return Err(Violation::Malformed(format!("invalid frontend message type {kind}")));
    }
    let length = usize::try_from(socket.read_i32().await?).unwrap_or(0);
    let Some(length) = length.checked_sub(4) else {
        return Err(Violation::Malformed("invalid message length".to_owned()));
    };
    if length > limit {
        return Err(Violation::Malformed(format!("a message of {length} bytes is longer than {limit}")));
    }
    let mut body = BytesMut::with_capacity(length.min(1 << 16));
    let mut rest = socket.take(length as u64);
    while body.len() < length {
        if rest.read_buf(&mut body).await? == 0 {
            return Err(Violation::Gone);
        }
    }
    decode(kind, Fields(body.freeze())).map(|message| (message, length))
}

fn decode(kind: u8, mut body: Fields) -> Result<Message, Violation> {
    Ok(match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (name, query) = (body.text()?, body.text()?);
            let kinds = body.list(4, Fields::u32)?;
            Message::Parse { name, query, kinds }
        }
        b'B' => {
            let (portal, statement) = (body.text()?, body.text()?);
            let formats = body.list(2, Fields::i16)?;
            let values = body.list(4, Fields::value)?;
            let result_formats = body.list(2, Fields::i16)?;
            Message::Bind(Bind { portal, statement, formats, values, result_formats })
        }
        b'D' => Message::Describe { portal: body.is_portal()?, name: body.text()? },
        b'C' => Message::Close { portal: body.is_portal()?, name: body.text()? },
        b'E' => Message::Execute { portal: body.text()?, max_rows: body.i32()? },
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'p' => Message::Password(body.0),
        b'd' => Message::CopyData(body.0),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        other => return Err(Violation::Malformed(format!("message type {other} is not supported"))),
    })
}

/// The mechanism that a client chose for authentication, and what it says first.
pub(super) fn sasl_initial(message: Bytes) -> Result<(String, Bytes), Violation> {
    let mut body = Fields(message);
    Ok((body.text()?, body.value()?.unwrap_or_default()))
}

/// The fields of a message, none of them read beyond its end.
struct Fields(Bytes);

impl Fields {
    fn need(&self, bytes: usize) -> Result<(), Violation> {
        if self.0.remaining() < bytes {
            return Err(Violation::Malformed("insufficient data left in message".to_owned()));
        }
        Ok(())
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    fn u16(&mut self) -> Result<u16, Violation> {
        self.need(2)?;
        Ok(self.0.get_u16())
    }

    fn i16(&mut self) -> Result<i16, Violation> {
        self.need(2)?;
        Ok(self.0.get_i16())
    }

    fn i32(&mut self) -> Result<i32, Violation> {
        self.need(4)?;
        Ok(self.0.get_i32())
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }

    fn value(&mut self) -> Result<Option<Bytes>, Violation> {
        let Ok(length) = usize::try_from(self.i32()?) else { return Ok(None) };
        self.need(length)?;
        Ok(Some(self.0.split_to(length)))
    }

    fn list<T>(&mut self, least: usize, read: fn(&mut Self) -> Result<T, Violation>) -> Result<Vec<T>, Violation> {
        let count = usize::from(self.u16()?);
        self.need(count * least)?;
        (0..count).map(|_| read(self)).collect()
    }

    fn text(&mut self) -> Result<String, Violation> {
        let Some(end) = self.0.iter().position(|byte| *byte == 0) else {
            return Err(Violation::Malformed("invalid string in message".to_owned()));
        };
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec())
            .map_err(|_| Violation::Malformed("invalid byte sequence for encoding \"UTF8\"".to_owned()))
    }

    fn is_portal(&mut self) -> Result<bool, Violation> {
        match self.u8()? {
            b'P' => Ok(true),
            b'S' => Ok(false),
            other => Err(Violation::Malformed(format!("invalid message subtype {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<(Message, usize), Violation> {
        read_message(&mut std::io::Cursor::new(bytes.to_vec()), 1 << 20).await
    }

    #[tokio::test]
    async fn counts_and_lengths_that_lie_are_refused() {
        for bytes in [
            &b"Q\0\0\0\x03"[..],
            b"Q\0\0\0\x06ab",
            b"B\0\0\0\x08\0\0\xff\xff",
            b"B\0\0\0\x0e\0\0\0\0\0\x01\x7f\xff\xff\xff",
            b"P\0\0\0\x08a\0b\0",
            b"Q\x7f\xff\xff\xff",
            b"\x00\0\0\0\x04",
            b"D\0\0\0\x06x\0",
        ] {
            assert!(matches!(read(bytes).await, Err(Violation::Malformed(_))), "{bytes:?}");
        }
        assert!(matches!(read(b"Q\0\0\0\x08ab").await, Err(Violation::Gone)));
    }

    #[tokio::test]
    async fn a_bind_is_read_with_its_nulls() {
        let bytes = b"B\0\0\0\x19p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0";
        let (Message::Bind(bind), _) = read(bytes).await.unwrap() else { panic!("not a bind") };
        assert_eq!((bind.portal.as_str(), bind.statement.as_str()), ("p", "s"));
        assert_eq!(bind.formats, [1]);
        assert_eq!(bind.values, [Some(Bytes::from_static(b"x")), None]);
    }
}
