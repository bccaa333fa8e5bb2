//! Blocks.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{App, PAGE_BYTES_MAX, PREFIX};
use crate::node::api::error::{Code, Failure};
use crate::node::api::queries::BlockRange;
use crate::node::api::query::{LIST_ROWS, Order};
use crate::node::api::rows::{BlockPage, BriefBlock, BriefPage, IdText, StandingBlock};
use crate::node::api::walk::{BlockFilter, Step, Walk};
use crate::node::api::{parse, queries};
use crate::node::http::extract::{self, Path, Query, parsed};
use crate::node::http::form::Form;
use crate::node::http::fresh;
use crate::node::http::problem::Problem;
use crate::node::http::table::{self, BlockLine, Row};
use crate::node::store::SnapshotHeader;
use crate::protocol::{Block, BlockId, Network, UnixMillis};

/// Most headers on a page, those on side branches included.
const HEADERS_MAX: usize = 2000;
/// A page of blocks without their transactions ends early once so many bytes of blocks were read for it.
const BRIEF_READ_BYTES_MAX: usize = 16 << 20;

/// A part of the best chain.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BlocksQuery {
    /// The height of the first one; by default the best block, or genesis if `order` is `oldest`.
    #[param(value_type = Option<u64>)]
    from: Option<String>,
    /// Blocks, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
    /// Whether heights fall or rise.
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// Those whose reward went to this account. A page ends early once 16 MiB of other blocks were read for it, and may
    /// have no rows before the last one.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$", example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    miner: Option<String>,
    /// Of this time or later: a date (`2026-11-21`, UTC), or a span back from now (`30m`, `12h`, `7d`).
    #[param(example = "7d")]
    since: Option<String>,
    /// Before this time, written like `since`.
    #[param(example = "1h")]
    until: Option<String>,
    /// `csv` and `ndjson` give the whole list, or its first `limit` rows. Without it, `Accept` chooses (`text/csv`,
    /// `application/x-ndjson`).
    #[param(inline)]
    #[expect(dead_code, reason = "the guard has read it")]
    format: Option<Form>,
}

impl BlocksQuery {
    fn range(&self, bytes_max: usize) -> Result<BlockRange, Problem> {
        Ok(BlockRange {
            from: parsed(self.from.as_deref(), parse::height)?,
            limit: parsed(self.limit.as_deref(), parse::limit)?.map(|limit| limit as u64),
            order: self.order,
            bytes_max,
        })
    }

    fn filter(&self, now: UnixMillis) -> Result<BlockFilter, Problem> {
        let period = extract::period(self.since.as_deref(), self.until.as_deref(), now)?;
        Ok(BlockFilter { miner: extract::address(self.miner.as_deref())?, period })
    }

    /// The blocks that a whole list is about.
    fn walk(&self, app: &App) -> Result<impl FnOnce(&App) -> Result<Walk, Problem> + Send + use<>, Problem> {
        let (range, filter) = (self.range(0)?, self.filter(app.handle().now())?);
        Ok(move |app: &App| {
            let snapshot = app.handle().reader().snapshot()?;
            Ok(Walk::start(snapshot, range.from, range.order, &filter)?)
        })
    }

    /// The whole list, with a row for each block.
    async fn whole<R: Row + 'static>(
        &self,
        app: &App,
        form: Form,
        row: impl Fn(&Block, usize, &Network) -> R + Send + 'static,
    ) -> Result<Response, Problem> {
        let (limit, handle) = (parsed(self.limit.as_deref(), parse::limit)?, app.handle().clone());
        let mut walk = app.wait(self.walk(app)?).await?;
        table::whole(app, form, limit, move || {
            Ok(match walk.step()? {
                Step::At(block, size) => {
                    walk.pass();
                    Some(vec![row(&block, size, handle.network())])
                }
                Step::Tired => Some(Vec::new()),
                Step::End => None,
            })
        })
    }

    /// A span back from now moves with the clock, not with the tip.
    fn tagged(&self, mut headers: HeaderMap) -> HeaderMap {
        if self.since.is_some() || self.until.is_some() {
            headers.clear();
        }
        headers
    }
}

/// Blocks of the best chain, the newest first.
#[utoipa::path(get, path = "/blocks", tag = "chain", params(BlocksQuery), responses(
    (status = 200, content((BlockPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), Problem
))]
pub(super) async fn blocks(
    State(app): State<App>,
    Query(query): Query<BlocksQuery>,
    form: Form,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if form != Form::Json {
        return query.whole(&app, form, BlockLine::new).await;
    }
    let (range, filter) = (query.range(PAGE_BYTES_MAX)?, query.filter(app.handle().now())?);
    fresh::of_tip(&app, &query.tagged(headers), async {
        app.make_json(move |app| Ok(queries::blocks_where(app.handle(), range, &filter, || false)?)).await
    })
    .await
    .map(table::page)
}

/// Blocks of the best chain without their transactions: for lists.
#[utoipa::path(get, path = "/blocks/brief", tag = "chain", params(BlocksQuery), responses(
    (status = 200, content((BriefPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), Problem
))]
pub(super) async fn brief_blocks(
    State(app): State<App>,
    Query(query): Query<BlocksQuery>,
    form: Form,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if form != Form::Json {
        return query.whole(&app, form, |block, size, _| BriefBlock::new(block, size)).await;
    }
    let (range, filter) = (query.range(BRIEF_READ_BYTES_MAX)?, query.filter(app.handle().now())?);
    fresh::of_tip(&app, &query.tagged(headers), async {
        app.make_json(move |app| Ok(queries::brief_blocks(app.handle(), range, &filter)?)).await
    })
    .await
    .map(table::page)
}

/// A block by its height, its id, or the shown eight digits of the id.
#[utoipa::path(get, path = "/blocks/{block}", tag = "chain", params(
    ("block" = String, Path, pattern = "^([0-9]{1,12}|[0-9a-f]{8}|[0-9a-f]{64})$", description = "a height, 64 hex digits, or the 8 that are shown")
), responses(
    (status = 200, body = StandingBlock), Problem
))]
pub(super) async fn block(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = parse::block_name(&name)?;
    fresh::of_tip(&app, &headers, async { app.make_json(move |app| Ok(queries::block(app.handle(), name)?)).await })
        .await
}

/// A block as peers send it: the encoding of the specification. It never changes, so it may be kept.
#[utoipa::path(get, path = "/blocks/{block}/encoded", tag = "chain", params(
    ("block" = String, Path, pattern = "^[0-9a-f]{64}$", description = "64 hex digits")
), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    Problem
))]
pub(super) async fn encoded_block(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let problem = "an encoded block is named by its id, 64 hex digits";
    let id: BlockId = id.parse().map_err(|_| Problem::bad("bad_id", problem))?;
    let found = app.wait(move |app| Ok(app.handle().reader().snapshot()?.encoded_block(&id)?)).await?;
    let bytes = found.ok_or_else(|| Failure::new(Code::NotFound, format!("this node has no block {id}")))?;
    let media = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok(fresh::immutable(&id, &headers, || (media, bytes).into_response()))
}

/// A range of heights.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HeadersQuery {
    /// The lowest height; by default the one for which the best block is the last on the page.
    #[param(value_type = Option<u64>, format = "uint64")]
    from: Option<String>,
    /// Heights, at most 1000.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 20)]
    limit: Option<String>,
}

/// A header, on the best chain or on a side branch.
#[derive(Serialize, ToSchema)]
pub(super) struct HeaderRow {
    /// Genesis has 0.
    height: u64,
    /// Its id.
    #[schema(value_type = IdText)]
    id: String,
    /// The id of the block below.
    #[schema(value_type = IdText)]
    parent: String,
    /// When it was made, in Unix milliseconds.
    timestamp: u64,
    /// The compact upper bound of the id.
    target: String,
    /// The expected number of hashes to find such a block; 128 bits, so as text.
    work: String,
    /// Whether it is on the best chain.
    best_chain: bool,
    /// Whether its block, or one below it, breaks a rule.
    condemned: bool,
}

impl From<&SnapshotHeader> for HeaderRow {
    fn from(stored: &SnapshotHeader) -> Self {
        let header = &stored.header;
        Self {
            height: header.height.0,
            id: header.id().to_string(),
            parent: header.parent.to_string(),
            timestamp: header.timestamp.0,
            target: header.target.to_string(),
            work: header.target.work().0.to_string(),
            best_chain: stored.is_best,
            condemned: stored.is_condemned,
        }
    }
}

/// Headers of all stored blocks of some heights, side branches included, the lowest first.
#[utoipa::path(get, path = "/headers", tag = "chain", params(HeadersQuery), responses(
    (status = 200, body = [HeaderRow], description = "In the order of heights", headers(
        ("Link" = String, description = "With `rel=\"next\"`, where the list goes on; absent at its end")
    )), Problem
))]
pub(super) async fn headers(State(app): State<App>, Query(query): Query<HeadersQuery>) -> Result<Response, Problem> {
    let from = parsed(query.from.as_deref(), parse::height)?;
    let limit = parsed(query.limit.as_deref(), parse::limit)?.unwrap_or(LIST_ROWS) as u64;
    // A block on a side branch may come without a new tip, so this has no tag.
    let made = app.make(move |app| {
        let snapshot = app.handle().reader().snapshot()?;
        let first = from.map_or((snapshot.tip().height.0 + 1).saturating_sub(limit), |from| from.0);
        let last = first.saturating_add(limit - 1).min(u64::MAX - 1);
        let found = snapshot.headers(first..=last, HEADERS_MAX)?;
        // A list that is cut may lack some of its last height.
        let is_cut = found.len() >= HEADERS_MAX;
        let next = if is_cut { found.last().map_or(last, |cut| cut.header.height.0.max(first + 1)) } else { last + 1 };
        let next = (is_cut || next <= snapshot.tip().height.0).then_some(next);
        Ok((found.iter().map(HeaderRow::from).collect::<Vec<_>>(), next))
    });
    let (rows, next) = made.await?;
    let link = next.map(|next| [(header::LINK, format!("<{PREFIX}/headers?from={next}&limit={limit}>; rel=\"next\""))]);
    Ok((link, axum::Json(rows)).into_response())
}
