//! Metrics that are read from the node when somebody asks: its newest snapshot, its peers, its files.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;

use crate::node::handle::Handle;

pub(super) struct NodeCollector {
    handle: Handle,
    build: Info<[(&'static str, String); 3]>,
}

impl NodeCollector {
    pub(super) fn new(handle: Handle) -> Self {
        let network = handle.network();
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("network", network.parameters().name.clone()),
            ("genesis", network.genesis_id().to_string()),
        ];
        Self { handle, build: Info::new(labels) }
    }
}

impl fmt::Debug for NodeCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NodeCollector")
    }
}

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let view = self.handle.view();
        let age_millis = self.handle.now().0.saturating_sub(view.tip_timestamp.0);
        let mut gauges = Gauges(&mut encoder);
        gauges.whole("best_height", "Height of the best block", view.tip.height.0)?;
        gauges.with_unit("tip_age", "Time since the best block was made", Unit::Seconds, millis(age_millis))?;
        gauges.whole("pending_transactions", "Transactions that wait for a block", view.pending as u64)?;
        gauges.whole("hash_rate", "Hashes that the miner tries in a second", view.mining.hash_rate)?;
        gauges.whole("is_syncing", "1 while a better chain is being fetched", u64::from(view.syncing.is_some()))?;
        let behind = view.syncing.map_or(0, |syncing| syncing.target.0.saturating_sub(syncing.height.0));
        gauges.whole("sync_blocks_behind", "Blocks of a better chain that are still to be fetched", behind)?;
        // Both fail only while the node ends.
        let store = self.handle.reader().size_bytes().unwrap_or_default();
        gauges.with_unit("store_size", "Size of the file with the chain", Unit::Bytes, store)?;
        let index = self.handle.index().and_then(|index| index.size_bytes().ok()).unwrap_or_default();
        gauges.with_unit("index_size", "Size of the index, 0 without one", Unit::Bytes, index)?;
        self.peers(&mut encoder)?;
        let build = encoder.encode_descriptor("build", "What runs here, on which network", None, MetricType::Info)?;
        self.build.encode(build)
    }
}

impl NodeCollector {
    fn peers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let peers = self.handle.peers();
        let outbound = peers.iter().filter(|peer| peer.outbound).count();
        let mut family = encoder.encode_descriptor("peers", "Connected peers", None, MetricType::Gauge)?;
        for (direction, count) in [("inbound", peers.len() - outbound), ("outbound", outbound)] {
            ConstGauge::new(count).encode(family.encode_family(&[("direction", direction)])?)?;
        }
        Ok(())
    }
}

struct Gauges<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Gauges<'_, '_> {
    fn whole(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn with_unit(&mut self, name: &str, help: &str, unit: Unit, value: impl EncodeGaugeValue) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?)
    }
}

/// Milliseconds in seconds.
#[allow(clippy::cast_precision_loss, reason = "a fraction of a second does not matter over thousands of years")]
fn millis(millis: u64) -> f64 {
    millis as f64 / 1e3
}
