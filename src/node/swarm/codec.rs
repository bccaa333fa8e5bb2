//! Requests and responses on a stream: a little-endian `u32` length, then the encoding of the protocol crate.
//!
//! It runs on the tasks of the connections, so a long response is decoded off the swarm's loop. Memory follows the
//! bytes that arrived, never the length that was claimed, and [`frames`](super::frames) bounds it.

use std::io;
use std::sync::Arc;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use super::Reply;
use super::frames::{Answers, Requests};
use crate::protocol::encode::{decode, encode};
use crate::protocol::message::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, response_bytes_max};
use crate::protocol::{Request, Response};

/// The tag of [`Response::Blocks`] in its encoding.
const BLOCKS_TAG: u32 = 2;

/// A request on the wire. Malformed ones are a value, because errors of the codec come without the peer's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WireRequest {
    Request(Request),
    Malformed,
}

/// Reads and writes the messages of the sync protocol.
///
/// libp2p's behaviour clones its codec for each connection, and a connection clones that for each stream: what belongs to a
/// connection is made by the first of both.
#[derive(Debug, Default)]
pub(super) struct SyncCodec {
    answers: Arc<Answers>,
    /// `None` in the behaviour.
    requests: Option<Arc<Requests>>,
    /// The longest answer to the request of this stream, in bytes.
    answer_bytes_max: usize,
}

impl Clone for SyncCodec {
    fn clone(&self) -> Self {
        let requests = Some(self.requests.clone().unwrap_or_default());
        Self { answers: Arc::clone(&self.answers), requests, answer_bytes_max: self.answer_bytes_max }
    }
}

impl request_response::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = WireRequest;
    type Response = Reply;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<WireRequest>
    where
        T: AsyncRead + Unpin + Send,
    {
        let requests = self.requests.get_or_insert_default();
        let frame = match read_length(io, REQUEST_BYTES_MAX).await {
            Ok(length) => requests.read(io, length).await,
            Err(error) => Err(error),
        };
        match frame {
            Ok(frame) => Ok(decode(&frame, REQUEST_BYTES_MAX).map_or(WireRequest::Malformed, WireRequest::Request)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(WireRequest::Malformed),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Reply>
    where
        T: AsyncRead + Unpin + Send,
    {
        let length = read_length(io, self.answer_bytes_max).await?;
        let frame = self.answers.read(io, length).await?;
        decode(&frame, RESPONSE_BYTES_MAX).map(Reply::Response).map_err(malformed)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: WireRequest) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match request {
            WireRequest::Request(request) => {
                self.answer_bytes_max = response_bytes_max(&request);
                write_frame(io, &[encode(&request)], REQUEST_BYTES_MAX).await
            }
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

async fn read_length<T: AsyncRead + Unpin>(io: &mut T, bytes_max: usize) -> io::Result<usize> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes_max {
        return Err(malformed(format!("a frame of {length} bytes, {bytes_max} are allowed")));
    }
    Ok(length)
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
    use crate::protocol::message::{REQUEST_IDS_MAX, Status};
    use crate::protocol::{BlockId, Height, Network, Parameters, UnixMillis, Work};

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    fn written(reply: Reply) -> io::Result<Vec<u8>> {
        let mut io = Cursor::new(Vec::new());
        block_on(SyncCodec::default().write_response(&PROTOCOL, &mut io, reply))?;
        Ok(io.into_inner())
    }

    fn read_request(bytes: &[u8]) -> io::Result<WireRequest> {
        block_on(SyncCodec::default().read_request(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    fn blocks_of(count: usize) -> Request {
        Request::Blocks { ids: vec![BlockId([7; 32]); count].into() }
    }

    /// The answer to a request on its stream.
    fn read_response(request: &Request, bytes: &[u8]) -> io::Result<Reply> {
        let mut codec = SyncCodec::default();
        let request = WireRequest::Request(request.clone());
        block_on(codec.write_request(&PROTOCOL, &mut Cursor::new(Vec::new()), request))?;
        block_on(codec.read_response(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    #[test]
    fn an_answer_is_no_longer_than_its_question_allows() {
        let claim = |bytes: usize| u32::try_from(bytes).expect("far below 4 GiB").to_le_bytes();
        let status = Request::Status(Status {
            tip: BlockId([7; 32]),
            height: Height(1),
            work: Work::ZERO,
            clock: UnixMillis(1),
            pending: 0,
            nickname: Vec::new().into(),
        });
        for request in [status, Request::Headers { locator: Vec::new().into() }, Request::Pending, blocks_of(1)] {
            let longest = response_bytes_max(&request);
            let kind = |bytes: usize| read_response(&request, &claim(bytes)).expect_err("no more comes").kind();
            assert_eq!(kind(longest), io::ErrorKind::UnexpectedEof, "{request:?}");
            assert_eq!(kind(longest + 1), io::ErrorKind::InvalidData, "{request:?}");
        }
    }

    #[test]
    fn streams_share_the_room_of_their_connection_and_no_others() {
        let behaviour = SyncCodec::default();
        let [one, other] = [(), ()].map(|()| behaviour.clone());
        let room = |codec: &SyncCodec| Arc::as_ptr(codec.requests.as_ref().expect("a connection's"));
        let streams = vec![one.clone(); 2];
        assert_eq!(room(&streams[0]), room(&streams[1]));
        assert_ne!(room(&one), room(&other));
        assert!(Arc::ptr_eq(&one.answers, &other.answers));
    }

    #[test]
    fn requests_round_trip_up_to_the_largest() {
        let largest = Request::Blocks { ids: vec![BlockId([7; 32]); REQUEST_IDS_MAX].into() };
        for request in [Request::Pending, largest] {
            let mut io = Cursor::new(Vec::new());
            let request = WireRequest::Request(request);
            block_on(SyncCodec::default().write_request(&PROTOCOL, &mut io, request.clone())).expect("memory takes it");
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
            let read = read_response(&blocks_of(3), &frame).expect("well-formed");
            assert!(matches!(read, Reply::Response(read) if read == response));
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_it_is_read() {
        let claimed = u32::try_from(REQUEST_BYTES_MAX + 1).expect("far below 4 GiB");
        assert_eq!(read_request(&claimed.to_le_bytes()).expect("nothing more is read"), WireRequest::Malformed);
        let claimed = u32::try_from(RESPONSE_BYTES_MAX + 1).expect("far below 4 GiB").to_le_bytes();
        let error = read_response(&blocks_of(1), &claimed).expect_err("oversize");
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
        // An unknown tag, a longer frame than its message, and one without any.
        for bytes in [&[4, 0, 0, 0, 9, 0, 0, 0][..], &[5, 0, 0, 0, 3, 0, 0, 0, 0], &[0, 0, 0, 0]] {
            assert_eq!(read_request(bytes).expect("read"), WireRequest::Malformed, "{bytes:?}");
            let read = read_response(&blocks_of(1), bytes);
            assert_eq!(read.expect_err("garbage").kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_may_follow_a_request() {
        let request = [&4_u32.to_le_bytes()[..], &3_u32.to_le_bytes()].concat();
        assert_eq!(read_request(&request).expect("read"), WireRequest::Request(Request::Pending));
        assert_eq!(read_request(&[&request[..], &[0]].concat()).expect("read"), WireRequest::Malformed);
    }

    #[test]
    fn our_own_reply_is_held_to_the_limit_too() {
        let error = written(Reply::Blocks(vec![vec![0; 1 << 20]; 7])).expect_err("7 MiB");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
