//! The system's figures about this process, by the names of Prometheus's own libraries (`process_…`).
//!
//! Read from proc(5), so on Linux alone: elsewhere these metrics are missing.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        #[cfg(target_os = "linux")]
        if let Some(usage) = linux::Usage::now() {
            return usage.encode(&mut encoder);
        }
        let _ = &mut encoder;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fmt, fs};

    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::MetricType;
    use prometheus_client::metrics::counter::ConstCounter;
    use prometheus_client::metrics::gauge::ConstGauge;
    use prometheus_client::registry::Unit;
    use rustix::param::{clock_ticks_per_second, page_size};
    use rustix::process::{Resource, getrlimit};

    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(super) struct Usage {
        cpu_seconds: f64,
        start_seconds: f64,
        virtual_bytes: u64,
        resident_bytes: u64,
        threads: u64,
        open_files: u64,
    }

    impl Usage {
        /// Of this process; `None` where there is no proc(5).
        pub(super) fn now() -> Option<Self> {
            let stat = fs::read_to_string("/proc/self/stat").ok()?;
            let boot = fs::read_to_string("/proc/stat").ok()?;
            let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
            let open_files = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
            Self::parse(&stat, boot, open_files)
        }

        /// From the line of `/proc/self/stat` and the time of the boot in Unix seconds.
        #[allow(clippy::cast_precision_loss, reason = "hundredths of a second over centuries fit")]
        fn parse(stat: &str, boot: f64, open_files: u64) -> Option<Self> {
            // The name before it may hold anything, blanks and parentheses included. The rest begins with field 3.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
            let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second() as f64;
            Some(Self {
                cpu_seconds: seconds(field(14)? + field(15)?),
                threads: field(20)?,
                start_seconds: boot + seconds(field(22)?),
                virtual_bytes: field(23)?,
                resident_bytes: field(24)? * page_size() as u64,
                open_files,
            })
        }

        pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
            let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
            let (counter, gauge) = (MetricType::Counter, MetricType::Gauge);
            let help = "Time on processors, in the system and outside of it";
            let metric = encoder.encode_descriptor("process_cpu", help, seconds, counter)?;
            ConstCounter::new(self.cpu_seconds).encode(metric)?;
            let metric = encoder.encode_descriptor("process_start_time", "Start, in Unix time", seconds, gauge)?;
            ConstGauge::new(self.start_seconds).encode(metric)?;
            let sizes = [
                ("process_virtual_memory", "Address space", self.virtual_bytes),
                ("process_resident_memory", "Memory in use", self.resident_bytes),
            ];
            for (name, help, value) in sizes {
                ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, bytes, gauge)?)?;
            }
            // "Unlimited" is left out, as other exporters do.
            let files_max = getrlimit(Resource::Nofile).current;
            let counts = [
                ("process_threads", "Threads", Some(self.threads)),
                ("process_open_fds", "Open files and sockets", Some(self.open_files)),
                ("process_max_fds", "The most files and sockets that may be open", files_max),
            ];
            for (name, help, value) in counts {
                if let Some(value) = value {
                    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, gauge)?)?;
                }
            }
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The name of a process is anybody's choice.
        #[test]
        fn the_fields_are_those_of_the_manual() {
            let after = "S 1 1 1 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 7 0 1000 4096000 25 18446744073709551615";
            let stat = format!("42 (a) b (c) {after}");
            let usage = Usage::parse(&stat, 100.0, 9).expect("well formed");
            let ticks = clock_ticks_per_second() as f64;
            let wanted = Usage {
                cpu_seconds: 400.0 / ticks,
                start_seconds: 100.0 + 1000.0 / ticks,
                virtual_bytes: 4_096_000,
                resident_bytes: 25 * page_size() as u64,
                threads: 7,
                open_files: 9,
            };
            assert_eq!(usage, wanted);
            assert_eq!(Usage::parse("42 (a) S 1", 0.0, 0), None);
        }

        #[test]
        fn this_process_uses_something() {
            let usage = Usage::now().expect("Linux has proc");
            assert!(usage.resident_bytes > 100_000 && usage.threads > 0 && usage.open_files > 2);
        }
    }
}
