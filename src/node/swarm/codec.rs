//! Requests and responses on a stream: a little-endian `u32` length, then the encoding of the protocol crate.
//!
//! It runs on the tasks of the connections, so a long response is decoded off the swarm's loop. Memory follows the
//! bytes that arrived, never the length that was claimed.

use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use super::Reply;
use crate::protocol::encode::{decode, encode};
use crate::protocol::message::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::protocol::{Request, Response};

/// Memory taken before the first byte of a frame has arrived, in bytes.
const FIRST_ALLOCATION_BYTES: usize = 16 << 10;
/// The tag of [`Response::Blocks`] in its encoding.
const BLOCKS_TAG: u32 = 2;

/// A request on the wire. Malformed ones are a value, because errors of the codec come without the peer's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WireRequest {
    Request(Request),
    Malformed,
}

/// Reads and writes the messages of the sync protocol.
#[derive(Debug, Clone, Default)]
pub(super) struct SyncCodec;

impl request_response::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = WireRequest;
    type Response = Reply;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<WireRequest>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_frame(io, REQUEST_BYTES_MAX).await {
            Ok(frame) => Ok(decode(&frame, REQUEST_BYTES_MAX).map_or(WireRequest::Malformed, WireRequest::Request)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(WireRequest::Malformed),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Reply>
    where
        T: AsyncRead + Unpin + Send,
    {
        let frame = read_frame(io, RESPONSE_BYTES_MAX).await?;
        decode(&frame, RESPONSE_BYTES_MAX).map(Reply::Response).map_err(malformed)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: WireRequest) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            WireRequest::Request(request) => write_frame(io, &[encode(&request)], REQUEST_BYTES_MAX).await,
            WireRequest::Malformed => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, reply: Reply) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &reply_pieces(reply), RESPONSE_BYTES_MAX).await
    }
}

/// The encoding of a reply in pieces, so that stored blocks are neither decoded nor copied together.
fn reply_pieces(reply: Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Response(response) => vec![encode::<Response>(&response)],
        Reply::Blocks(blocks) => {
            let mut head = BLOCKS_TAG.to_le_bytes().to_vec();
            head.extend((blocks.len() as u64).to_le_bytes());
            std::iter::once(head).chain(blocks).collect()
        }
    }
}

async fn read_frame<T: AsyncRead + Unpin>(io: &mut T, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes_max {
        return Err(malformed(format!("a frame of {length} bytes, {bytes_max} are allowed")));
    }
    let mut frame = Vec::with_capacity(length.min(FIRST_ALLOCATION_BYTES));
    let read = io.take(length as u64).read_to_end(&mut frame).await?;
    if read < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}

async fn write_frame<T: AsyncWrite + Unpin>(io: &mut T, pieces: &[Vec<u8>], bytes_max: usize) -> io::Result<()> {
    let length = pieces.iter().map(Vec::len).sum::<usize>();
    let claimed = u32::try_from(length).ok().filter(|_| length <= bytes_max).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{length} bytes do not fit into one message"))
    })?;
    io.write_all(&claimed.to_le_bytes()).await?;
    for piece in pieces {
        io.write_all(piece).await?;
    }
    io.flush().await
}

/// Only what no honest peer sends is `InvalidData`.
fn malformed(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use libp2p::request_response::Codec;

    use super::*;
    use crate::protocol::message::REQUEST_IDS_MAX;
    use crate::protocol::{BlockId, Network, Parameters};

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    fn written(reply: Reply) -> io::Result<Vec<u8>> {
        let mut io = Cursor::new(Vec::new());
        block_on(SyncCodec.write_response(&PROTOCOL, &mut io, reply))?;
        Ok(io.into_inner())
    }

    fn read_request(bytes: &[u8]) -> io::Result<WireRequest> {
        block_on(SyncCodec.read_request(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    #[test]
    fn requests_round_trip_up_to_the_largest() {
        let largest = Request::Blocks { ids: vec![BlockId([7; 32]); REQUEST_IDS_MAX].into() };
        for request in [Request::Pending, largest] {
            let mut io = Cursor::new(Vec::new());
            let request = WireRequest::Request(request);
            block_on(SyncCodec.write_request(&PROTOCOL, &mut io, request.clone())).expect("memory takes it");
            assert_eq!(read_request(&io.into_inner()).expect("it was just written"), request);
        }
    }

    #[test]
    fn stored_blocks_are_written_as_a_response_of_blocks() {
        let network = Network::new(Parameters::dev()).expect("presets are valid");
        let block = network.genesis().clone();
        for count in [0, 1, 3] {
            let response = Response::Blocks(vec![block.clone(); count].into());
            let frame = written(Reply::Blocks(vec![encode(&block); count])).expect("small");
            assert_eq!(frame[4..], encode(&response), "{count} blocks");
            assert_eq!(frame, written(Reply::Response(response.clone())).expect("small"));
            let read = block_on(SyncCodec.read_response(&PROTOCOL, &mut Cursor::new(frame))).expect("well-formed");
            assert!(matches!(read, Reply::Response(read) if read == response));
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_it_is_read() {
        let claimed = u32::try_from(REQUEST_BYTES_MAX + 1).expect("far below 4 GiB");
        assert_eq!(read_request(&claimed.to_le_bytes()).expect("nothing more is read"), WireRequest::Malformed);
        let claimed = u32::try_from(RESPONSE_BYTES_MAX + 1).expect("far below 4 GiB").to_le_bytes();
        let error = block_on(SyncCodec.read_response(&PROTOCOL, &mut Cursor::new(claimed))).expect_err("oversize");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_stream_that_ends_early_is_nobodys_fault() {
        for bytes in [&[][..], &[4, 0], &[8, 0, 0, 0, 3, 0, 0, 0]] {
            assert_eq!(read_request(bytes).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_malformed() {
        for bytes in [&[4, 0, 0, 0, 9, 0, 0, 0][..], &[5, 0, 0, 0, 3, 0, 0, 0, 0], &[0, 0, 0, 0]] {
            assert_eq!(read_request(bytes).expect("read"), WireRequest::Malformed, "{bytes:?}");
            let read = block_on(SyncCodec.read_response(&PROTOCOL, &mut Cursor::new(bytes)));
            assert_eq!(read.expect_err("garbage").kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[test]
    fn our_own_reply_is_held_to_the_limit_too() {
        let error = written(Reply::Blocks(vec![vec![0; 1 << 20]; 7])).expect_err("7 MiB");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
