//! Query parameters.

use super::failure::Failure;

/// The parameters of a request, decoded, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`. Empty pieces, as in `?&a=b`, are nothing.
    pub(super) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Query(pairs.collect())
    }

    /// The first value of a parameter, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there, whatever its value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// Whether JSON is to be indented: on demand, and for people who use a browser or curl, as kube-apiserver guesses.
    pub(super) fn wants_indented(&self, user_agent: &str) -> bool {
        match self.get("pretty") {
            Some(said) => matches!(said, "1" | "t" | "T" | "true" | "TRUE" | "True"),
            None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|who| user_agent.starts_with(who)),
        }
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on. Absent is off; a name without a value is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.switch(name).unwrap_or(false)
    }

    /// A switch that may be absent.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        // apimachinery's conversion: everything but these is true.
        Some(!matches!(value.as_str(), "false" | "0"))
    }

    /// How many objects are wanted at most; none when all are, as a number below one says.
    pub(super) fn limit(&self) -> Result<Option<usize>, Failure> {
        match self.get("limit") {
            Some(text) if text.starts_with('-') && text[1..].parse::<u64>().is_ok() => Ok(None),
            _ => Ok(self
                .number("limit")?
                .filter(|limit| *limit > 0)
                .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Failure::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
        })
    }
}

/// Decodes a part of a query, in which `+` is a space.
fn decode(text: &str) -> String {
    decode_path(&text.replace('+', " "))
}

/// Decodes `%41`. What is no UTF-8 is replaced.
pub(super) fn decode_path(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut ahead = rest.clone();
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
                match (digit(ahead.next()), digit(ahead.next())) {
                    (Some(high), Some(low)) => {
                        // Two hexadecimal digits fit a byte.
                        bytes.push((high * 16 + low) as u8);
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse(
            "&labelSelector=a%3Db%2Cc+in+(d)&watch=1&empty=&flag&dryRun=All&dryRun=x%zz",
        );
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.all("dryRun").collect::<Vec<_>>(), ["All", "x%zz"]);
        assert!(query.is_on("watch") && query.is_on("flag"));
        assert!(!query.is_on("absent"));
        assert!(query.number("labelSelector").is_err());
    }
}
