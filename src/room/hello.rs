//! `hello`: who is there.

use std::sync::Arc;

use crate::auth::{Claims, TokenError};

use super::code::ErrorCode;
use super::request::{Hello, Refusal};
use super::rooms::{Answer, ConnectionId, Due, Phase, Rooms, Verdict, refusal};

impl Rooms {
    /// `hello`: a token, a guest, or somebody who comes back.
    pub(super) fn hello(
        &mut self,
        id: ConnectionId,
        re: Option<u64>,
        hello: &Hello,
        verdict: Verdict,
    ) -> Result<Answer, Refusal> {
        if let Some(resume) = &hello.resume {
            self.resume(id, re, resume)?;
            return Ok(Answer::Given);
        }
        let claims = match verdict {
            Some(Ok(claims)) => Some(Arc::new(claims)),
            Some(Err(TokenError::Expired)) => {
                return Err(refusal(ErrorCode::TokenExpired, "the token's time is over"));
            }
            Some(Err(error)) => return Err(refusal(ErrorCode::Unauthorized, error.to_string())),
            None if self.options.guests => None,
            None => {
                let message = "this server wants a token: guests are not let in";
                return Err(refusal(ErrorCode::Unauthorized, message));
            }
        };
        self.greet(id, claims, Phase::Greeted);
        Ok(Answer::Ok)
    }

    /// Moves a connection out of [`Phase::New`].
    pub(super) fn greet(&mut self, id: ConnectionId, claims: Option<Arc<Claims>>, phase: Phase) {
        let connection = self.connections.get_mut(&id).expect("it spoke");
        connection.claims = claims;
        let before = std::mem::replace(&mut connection.phase, phase);
        if let Phase::New { hello_by } = before {
            self.clear(hello_by, Due::Hello(id));
        }
    }
}
