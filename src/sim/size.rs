//! The length of messages, computed without encoding them.

use crate::protocol::encode::encode;
use crate::protocol::{Request, Response, Status};

/// The overhead of a request or a response, in bytes.
pub(crate) const FRAME_BYTES: u64 = 32;

/// Length of an encoded request with its frame. Most requests are about the status, which is therefore not encoded.
pub(crate) fn request_bytes(request: &Request) -> u64 {
    let content = match request {
        Request::Status(status) => status_bytes(status),
        other => encode(other).len(),
    };
    content as u64 + FRAME_BYTES
}

/// Length of an encoded response with its frame.
pub(crate) fn response_bytes(response: &Response) -> u64 {
    let content = match response {
        Response::Status(status) => status_bytes(status),
        other => encode(other).len(),
    };
    content as u64 + FRAME_BYTES
}

/// Length of a status in a request or a response, in bytes.
fn status_bytes(status: &Status) -> usize {
    const FIXED: usize = 4 + 32 + 8 + 16 + 8 + 8 + 8;
    FIXED + status.nickname.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{BlockId, Height, UnixMillis, Work};

    #[test]
    fn a_status_is_as_long_as_its_encoding() {
        let (tip, height, clock) = (BlockId([1; 32]), Height(7), UnixMillis(9));
        let nickname = b"node17".to_vec().into();
        let status = Status { tip, height, work: Work(5), clock, pending: 3, nickname };
        let (request, response) = (Request::Status(status.clone()), Response::Status(status));
        assert_eq!(request_bytes(&request), encode(&request).len() as u64 + FRAME_BYTES);
        assert_eq!(response_bytes(&response), encode(&response).len() as u64 + FRAME_BYTES);
    }
}
