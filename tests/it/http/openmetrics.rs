//! A strict parser of OpenMetrics 1.0 text (github.com/prometheus/OpenMetrics, the ABNF).

use std::collections::BTreeMap;

/// A family of metrics.
#[derive(Debug, Default)]
pub(super) struct Family {
    kind: String,
    unit: String,
    has_help: bool,
    /// Name, labels as they are written, and value of each sample.
    samples: Vec<(String, String, f64)>,
}

/// All families by name.
#[derive(Debug)]
pub(super) struct Exposition(BTreeMap<String, Family>);

impl Exposition {
    /// Parses the text, or names the wrong line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("it does not end with `# EOF`")?;
        let (mut families, mut current) = (BTreeMap::new(), None);
        for line in body.split_terminator('\n') {
            let wrong = |why: &str| format!("{why}: {line}");
            match line.strip_prefix("# ") {
                Some(descriptor) => {
                    let mut words = descriptor.splitn(3, ' ');
                    let (Some(key), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else {
                        return Err(wrong("half a descriptor"));
                    };
                    if current.as_deref() != Some(name) {
                        if !is_name(name) || families.insert(name.to_owned(), Family::default()).is_some() {
                            return Err(wrong("no name, or a family in two places"));
                        }
                        current = Some(name.to_owned());
                    }
                    let family = families.get_mut(name).expect("it was put in");
                    describe(family, name, key, value).map_err(wrong)?;
                }
                None => {
                    let name = current.as_ref().ok_or_else(|| wrong("a sample without a family"))?;
                    let family = families.get_mut(name).expect("it was put in");
                    let sample = sample(line).ok_or_else(|| wrong("no sample"))?;
                    if !family.takes(name, &sample.0, &sample.1, sample.2) {
                        return Err(wrong(&format!("not of a {} called {name}", family.kind)));
                    }
                    if family.samples.iter().any(|(name, labels, _)| (name, labels) == (&sample.0, &sample.1)) {
                        return Err(wrong("said twice"));
                    }
                    family.samples.push(sample);
                }
            }
        }
        match families.iter().find(|(_, family)| !family.has_help || family.kind.is_empty()) {
            Some((name, _)) => Err(format!("{name} has no help or no type")),
            None => Ok(Self(families)),
        }
    }

    /// The value of a sample, by its labels as they are written.
    pub(super) fn value(&self, name: &str, labels: &str) -> f64 {
        let samples = self.0.values().flat_map(|family| &family.samples);
        let found = samples.into_iter().find(|sample| sample.0 == name && sample.1 == labels);
        found.unwrap_or_else(|| panic!("no {name}{{{labels}}}")).2
    }

    /// Whether samples of this name can exist.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.iter().any(|(known, family)| family.suffixes().iter().any(|suffix| name == format!("{known}{suffix}")))
    }
}

impl Family {
    fn suffixes(&self) -> &'static [&'static str] {
        match self.kind.as_str() {
            "counter" => &["_total", "_created"],
            "histogram" => &["_bucket", "_sum", "_count", "_created"],
            "info" => &["_info"],
            _ => &[""],
        }
    }

    fn takes(&self, name: &str, sample: &str, labels: &str, value: f64) -> bool {
        let Some(suffix) = sample.strip_prefix(name).filter(|suffix| self.suffixes().contains(suffix)) else {
            return false;
        };
        match (self.kind.as_str(), suffix) {
            ("counter", _) | ("histogram", "_count" | "_bucket") if value < 0.0 || value.is_nan() => false,
            ("histogram", "_bucket") => labels.contains("le=\""),
            ("info", _) => (value - 1.0).abs() < f64::EPSILON,
            _ => true,
        }
    }
}

fn describe(family: &mut Family, name: &str, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "HELP" if !family.has_help => family.has_help = true,
        "TYPE" if family.kind.is_empty() && family.samples.is_empty() => match value {
            "counter" | "gauge" | "histogram" | "info" => family.kind = value.to_owned(),
            _ => return Err("an unknown type"),
        },
        "UNIT" if family.unit.is_empty() && name.ends_with(&format!("_{value}")) => family.unit = value.to_owned(),
        _ => return Err("an unknown descriptor, one too many, or a unit that is not in the name"),
    }
    Ok(())
}

/// Parses `name{label="value",…} number`.
fn sample(line: &str) -> Option<(String, String, f64)> {
    let end = line.find(|char: char| !char.is_ascii_alphanumeric() && char != '_' && char != ':')?;
    let (name, rest) = line.split_at(end);
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let mut left = labels;
    while !left.is_empty() {
        let (label, rest) = left.split_once("=\"")?;
        // A value ends at the first quotation mark that is not escaped.
        let mut escaped = false;
        let end = rest.find(|char| {
            let is_end = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            is_end
        })?;
        left = &rest[end + 1..];
        left = if left.is_empty() { left } else { left.strip_prefix(',')? };
        is_name(label).then_some(())?;
    }
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().ok()? };
    is_name(name).then(|| (name.to_owned(), labels.to_owned(), value))
}

fn is_name(text: &str) -> bool {
    text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == ':')
        && text.starts_with(|first: char| !first.is_ascii_digit())
}
