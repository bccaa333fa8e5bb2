//! Records in one call, signed by one of the node's wallets.
//!
//! Each transaction is signed before the first one is sent, so a mistake in one of them, or coins that do not suffice, are
//! told before anything is recorded. Then they go to the engine, each with its nonce: one that somebody else has used
//! meanwhile is not used again, and what is left gets new ones.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::App;
use super::content::{self, GivenFile, Understood};
use crate::engine::event::CommandError;
use crate::node::api::error::{Code, Failure};
use crate::node::api::rows::{AddressText, AmountText, FileRow, IdText};
use crate::node::api::{lookup, parse};
use crate::node::handle::ask::{AccountState, Asked};
use crate::node::http::exact::Coins;
use crate::node::http::extract::Hashed;
use crate::node::http::idempotency::{Answer, Claim, Key, Known, Planned};
use crate::node::http::problem::Problem;
use crate::node::wallet::WalletError;
use crate::protocol::{
    Action, Address, Amount, CheckedTransaction, SecretKey, SignedTransaction, Transaction, TransactionId, Violation,
};

/// The longest body, in bytes: a file's bytes are twice as long in hex.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;
/// Records in one call.
const RECORDS_MAX: usize = 500;
/// How often new nonces are taken because others of the same account came in between.
const ROUNDS_MAX: usize = 20;

/// A record, or several in `records`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecords {
    /// A text.
    #[schema(example = "pallet 7 arrived")]
    text: Option<String>,
    /// Any JSON. Its text is recorded as it stands here.
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<Box<RawValue>>,
    /// A file's fingerprint.
    file: Option<GivenFile>,
    /// Tags by which it can be found.
    tags: Option<Vec<String>>,
    /// For the miner, in coins; by default the least that gets into this node's memory pool now.
    #[schema(value_type = Option<Coins>)]
    fee: Option<Coins>,
    /// Several records, at most 500, in this order. Then nothing but `wallet` stands beside it.
    records: Option<Vec<NewRecord>>,
    /// The wallet that signs, by its name or its address; by default the one in use. It must need no password now.
    #[schema(example = "default")]
    wallet: Option<String>,
}

/// One of several records. One of `text`, `json` and `file`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecord {
    /// A text.
    text: Option<String>,
    /// Any JSON. Its text is recorded as it stands here.
    #[schema(value_type = Option<serde_json::Value>)]
    json: Option<Box<RawValue>>,
    /// A file's fingerprint.
    file: Option<GivenFile>,
    /// Tags by which it can be found.
    tags: Option<Vec<String>>,
    /// For the miner, in coins.
    #[schema(value_type = Option<Coins>)]
    fee: Option<Coins>,
}

/// The answer: to one record, or to several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RecordsMade {
    One(RecordMade),
    Several { records: Vec<RecordOutcome> },
}

/// One of several records, as far as it came.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RecordOutcome {
    Made(RecordMade),
    NotMade {
        /// The reason.
        problem: Problem,
    },
}

/// A record that waits for its block, durably.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct RecordMade {
    /// The id of its transaction.
    #[schema(value_type = IdText)]
    id: TransactionId,
    /// Its fee, in coins.
    #[schema(value_type = AmountText)]
    fee: Amount,
    /// The account that signed it.
    #[schema(value_type = AddressText)]
    sender: Address,
    /// Its number among the sender's transactions.
    nonce: u64,
    /// The recorded file, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileRow>,
}

/// Put records on the chain, signed by a wallet of this node. Answered when they are durable, before they are in a block.
/// With an `Idempotency-Key` the request can be repeated: for a day, also across a restart, it gets the first answer and
/// records nothing again.
#[utoipa::path(post, path = "/records", tag = "records", operation_id = "record", request_body(content = NewRecords, examples(
    ("text" = (value = json!({"text": "pallet 7 arrived", "tags": ["delivery"]}))),
    ("several" = (value = json!({"records": [{"text": "one"}, {"json": {"pallet": 7}, "fee": "0.001"}]})))
)), params(
    ("Idempotency-Key" = Option<String>, Header, pattern = r#"^("[!#-\[\]-~]{1,128}"|[!#-\[\]-~]{1,128})$"#,
        description = "A new text for each new request, such as a UUID")
), responses(
    (status = 201, body = RecordsMade, description = "All are recorded"),
    (status = 207, body = RecordsMade, description = "Some are recorded, and each of the others has a `problem`"),
    (status = 409, body = Problem, content_type = "application/problem+json",
        description = "`idempotency_key_in_use`: the first request with this key is not answered yet; `busy`"),
    (status = 422, body = Problem, content_type = "application/problem+json",
        description = "`idempotency_key_reused`: the key was used with another body; `insufficient_balance`, \
            `invalid_transaction`"),
    (status = 423, body = Problem, content_type = "application/problem+json", description = "`wallet_locked`"),
    Problem
))]
pub(super) async fn record(
    State(app): State<App>,
    headers: HeaderMap,
    Hashed { value: wanted, sha256 }: Hashed<NewRecords>,
) -> Result<Response, Problem> {
    let key = Key::of(&headers)?;
    let wanted = wanted.understood()?;
    // A client that leaves must not leave half of it undone.
    let done = tokio::spawn(async move {
        let Some(key) = key else { return wanted.record(&app, None, Vec::new()).await };
        let claim = app.0.keys.claim(&key, sha256)?;
        wanted.record_once(&app, claim).await
    });
    Ok(done.await.unwrap_or_else(|_| Err(Problem::fault()))?.into_response())
}

/// Records that have no mistake.
struct Wanted {
    records: Vec<(Understood, Option<Amount>)>,
    are_several: bool,
    wallet: Option<String>,
}

impl NewRecords {
    fn understood(self) -> Result<Wanted, Problem> {
        let Self { text, json, file, tags, fee, records, wallet } = self;
        let are_several = records.is_some();
        let records = match records {
            None => vec![NewRecord { text, json, file, tags, fee }.understood()?],
            Some(_) if text.is_some() || json.is_some() || file.is_some() || tags.is_some() || fee.is_some() => {
                let detail = "say either one record or `records`, with nothing but `wallet` beside it";
                return Err(Problem::bad("bad_record", detail));
            }
            Some(records) if !(1..=RECORDS_MAX).contains(&records.len()) => {
                return Err(Problem::bad("too_many", format!("`records` has 1 to {RECORDS_MAX} of them")));
            }
            Some(records) => {
                let one = |(at, record): (usize, NewRecord)| {
                    record.understood().map_err(|problem| problem.within(&format!("records[{at}]")))
                };
                records.into_iter().enumerate().map(one).collect::<Result<_, _>>()?
            }
        };
        Ok(Wanted { records, are_several, wallet })
    }
}

impl NewRecord {
    fn understood(self) -> Result<(Understood, Option<Amount>), Problem> {
        let fee = self.fee.map(|fee| fee.amount("fee")).transpose()?;
        Ok((content::understood(&self.tags.unwrap_or_default(), self.text, self.json, self.file)?, fee))
    }
}

/// A request under way.
struct Work<'a> {
    app: &'a App,
    claim: Option<Arc<Claim>>,
    wanted: &'a Wanted,
    /// What was or will be sent for each record. Empty before anything is signed.
    plan: Vec<Planned>,
    /// Which records are made.
    made: Vec<bool>,
}

impl Wanted {
    /// Records under a key: what an earlier request has done is not done again.
    async fn record_once(&self, app: &App, claim: Claim) -> Result<Answer, Problem> {
        let (now, claim) = (app.handle().now(), Arc::new(claim));
        let earlier = Arc::clone(&claim);
        match app.wait(move |_| earlier.known(now)).await? {
            Some(Known { answer: Some(answer), .. }) => Ok(answer),
            Some(Known { plan, .. }) => self.record(app, Some(claim), plan).await,
            None => self.record(app, Some(claim), Vec::new()).await,
        }
    }

    /// `plan` is that of a request that this node did not survive.
    async fn record(&self, app: &App, claim: Option<Arc<Claim>>, plan: Vec<Planned>) -> Result<Answer, Problem> {
        let mut work = Work { app, claim, wanted: self, plan, made: vec![false; self.records.len()] };
        for (made, planned) in work.made.iter_mut().zip(&work.plan) {
            *made = was_sent(app, planned).await?;
        }
        let earlier = work.made.clone();
        match work.send_all().await {
            Ok(()) => Ok(work.answered(None).await),
            // The node ends. What became of these, its next run finds out.
            Err(Stopped::Refused(CommandError::Closing)) => Err(CommandError::Closing.into()),
            Err(stopped) if work.made != earlier => Ok(work.answered(Some(stopped.into())).await),
            Err(stopped) => {
                if !earlier.contains(&true) {
                    work.forget().await?;
                }
                Err(stopped.into())
            }
        }
    }
}

/// The reason why not all was sent.
enum Stopped {
    /// Before anything more was sent; it may be tried again.
    Before(Problem),
    /// By the engine.
    Refused(CommandError),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Before(problem)
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Before(problem) => problem,
            Stopped::Refused(error) => error.into(),
        }
    }
}

impl Work<'_> {
    async fn send_all(&mut self) -> Result<(), Stopped> {
        if !self.made.contains(&false) {
            return Ok(());
        }
        let key = self.key().await?;
        for _ in 0..ROUNDS_MAX {
            // Of requests to this server, the next one sees the nonces that this one takes.
            let turn = self.app.0.nonces.lock().await;
            let signed = self.sign(&key).await?;
            self.remember(None).await?;
            let asked = self.submit(signed);
            drop(turn);
            self.settle(asked).await.map_err(Stopped::Refused)?;
            if !self.made.contains(&false) {
                return Ok(());
            }
        }
        Err(Stopped::Refused(CommandError::Busy))
    }

    async fn key(&self) -> Result<Arc<SecretKey>, Problem> {
        let wallet = self.wanted.wallet.clone();
        let key = self.app.wait(move |app| {
            let wallets = app.handle().wallets();
            let Some(wallet) = wallet else { return Ok(wallets.key()?) };
            let address = parse::who(wallet.trim()).and_then(|who| lookup::address(app.handle(), &who));
            Ok(wallets.key_of(&address.map_err(|_| WalletError::NotFound { name: wallet })?)?)
        });
        key.await
    }

    /// Signs what is left, with the next nonces.
    async fn sign(&mut self, key: &Arc<SecretKey>) -> Result<Vec<(usize, CheckedTransaction)>, Problem> {
        let sender = key.public_key();
        let AccountState { account, spendable, pending } = self.app.handle().account(sender.address()).await?;
        let (mut transactions, mut needed) = (Vec::new(), Amount::ZERO);
        let left = (0..self.made.len()).filter(|at| !self.made[*at]);
        for (nonce, at) in (account.nonce.saturating_add(pending)..).zip(left) {
            let (Understood { action, .. }, fee) = &self.wanted.records[at];
            let rest = spendable.checked_sub(needed).unwrap_or_default();
            let fee = fee.unwrap_or_else(|| self.least_fee(action, rest));
            needed = needed.checked_add(fee).unwrap_or(Amount::MAX);
            transactions.push((at, Transaction { sender, nonce, fee, action: action.clone() }));
        }
        if needed > spendable {
            return Err(CommandError::InsufficientBalance { balance: account.balance, spendable, needed }.into());
        }
        let key = Arc::clone(key);
        let signed = self.app.wait(move |app| {
            let sign = |(at, transaction)| {
                let signed = CheckedTransaction::sign(transaction, &key, app.handle().network());
                let refused = |violation: Violation| Failure::new(Code::InvalidTransaction, violation.to_string());
                Ok((at, signed.map_err(refused)?))
            };
            transactions.into_iter().map(sign).collect::<Result<Vec<_>, Problem>>()
        });
        let signed = signed.await?;
        // All of them are in the first round, in their order.
        for (at, one) in &signed {
            let Transaction { nonce, fee, .. } = one.signed().transaction;
            let planned = Planned { id: one.id(), sender: one.sender(), nonce, fee };
            match self.plan.get_mut(*at) {
                Some(earlier) => *earlier = planned,
                None => self.plan.push(planned),
            }
        }
        Ok(signed)
    }

    /// As the engine chooses it for a transaction that it signs itself.
    fn least_fee(&self, action: &Action, spendable: Amount) -> Amount {
        let handle = self.app.handle();
        let price = handle.view().pool_price.least_fee(SignedTransaction::length_with(action));
        let least = handle.network().parameters().fee_min;
        if price <= spendable { price.max(least) } else { least }
    }

    /// Sends them, each with its nonce or not at all.
    fn submit(&self, signed: Vec<(usize, CheckedTransaction)>) -> Vec<(usize, Asked<(TransactionId, Amount)>)> {
        signed.into_iter().map(|(at, one)| (at, self.app.handle().submit_next(one))).collect()
    }

    /// Waits until they are durable, or refused.
    async fn settle(&mut self, asked: Vec<(usize, Asked<(TransactionId, Amount)>)>) -> Result<(), CommandError> {
        let mut refused = Ok(());
        for (at, asked) in asked {
            match asked.await {
                Ok(_) => self.made[at] = true,
                // Another one of the account came in between, or one of these was refused.
                Err(CommandError::WrongNonce { .. }) => {}
                Err(error) => refused = refused.and(Err(error)),
            }
        }
        refused
    }

    async fn remember(&self, answer: Option<Answer>) -> Result<(), Problem> {
        let Some(claim) = self.claim.clone() else { return Ok(()) };
        let (now, plan) = (self.app.handle().now(), self.plan.clone());
        self.app.wait(move |_| claim.remember(now, plan, answer)).await
    }

    async fn forget(&self) -> Result<(), Problem> {
        let Some(claim) = self.claim.clone() else { return Ok(()) };
        let forget = move |_: &App| {
            claim.forget();
            Ok(())
        };
        self.app.wait(forget).await
    }

    /// The answer, which is kept.
    async fn answered(&self, refused: Option<Problem>) -> Answer {
        let outcome = |at: usize| {
            let Planned { id, sender, nonce, fee } = self.plan[at];
            let file = self.wanted.records[at].0.file.clone();
            RecordMade { id, fee, sender, nonce, file }
        };
        let or_why = |(at, made): (usize, &bool)| match &refused {
            Some(problem) if !made => RecordOutcome::NotMade { problem: problem.clone() },
            _ => RecordOutcome::Made(outcome(at)),
        };
        let made = if self.wanted.are_several {
            RecordsMade::Several { records: self.made.iter().enumerate().map(or_why).collect() }
        } else {
            RecordsMade::One(outcome(0))
        };
        let status = if refused.is_some() { StatusCode::MULTI_STATUS } else { StatusCode::CREATED };
        let body = serde_json::to_string(&made).expect("strings and numbers always serialise");
        let answer = Answer { status: status.as_u16(), body };
        if let Err(problem) = self.remember(Some(answer.clone())).await {
            // The plan is there, and leads to the same answer.
            tracing::warn!(detail = problem.into_detail(), "an answer was not kept for its Idempotency-Key");
        }
        answer
    }
}

/// Whether a transaction waits, or is in a block.
async fn was_sent(app: &App, planned: &Planned) -> Result<bool, Problem> {
    let Planned { id, sender, nonce, .. } = *planned;
    if app.handle().pending_transaction(id).await?.is_some() {
        return Ok(true);
    }
    if app.handle().index().is_none() {
        // Nobody but this wallet has used its nonce.
        return Ok(app.handle().account(sender).await?.account.nonce > nonce);
    }
    app.wait(move |app| Ok(lookup::index(app.handle())?.view()?.find(&id)?.is_some())).await
}
