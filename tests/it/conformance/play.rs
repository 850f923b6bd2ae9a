//! A case played on a server.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt as _, future::join, stream::BoxStream};
use serde_json::{Value, json};

use super::{
    normal::{Seen, differences},
    script::{self, Act, Ask, Case},
    target::{Sent, Target},
};

/// How long events and conditions are waited for. The garbage collector takes its time to know a new kind, and quota
/// remembers for half a minute that a namespace had none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two questions of `until`.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How often the real server is asked once more.
pub const AGAIN: usize = 3;

/// Marks what was answered when that which was awaited did not come.
const NEVER: &str = "never";

/// What a server answered to each step, comparable.
pub type Story = Vec<Value>;

/// Plays a case on one server.
pub async fn play(case: &Case, target: &Target) -> Story {
    let mut player = Player {
        target: target.clone(),
        namespace: case.id.clone(),
        answers: BTreeMap::new(),
        watches: BTreeMap::new(),
        seen: Seen::default(),
    };
    let namespace = json!({"metadata": {"name": case.id}});
    let made = player.sent(&script::step(&format!("post $namespaces {namespace}"), "").act);
    let (code, _, body) = player.target.ask(made).await;
    assert_eq!(code, 201, "{}", String::from_utf8_lossy(&body));
    let mut story = Story::new();
    for step in &case.steps {
        let mut answer = player.step(&step.act, step.label.as_deref()).await;
        for pointer in &case.ignored {
            // Whether it is there at all is not compared either.
            let (above, name) = pointer.rsplit_once('/').unwrap_or_default();
            let above = answer.pointer_mut(&format!("/body{above}"));
            if let Some(above) = above.and_then(Value::as_object_mut) {
                above.insert(name.to_owned(), "<ignored>".into());
            }
        }
        story.push(answer);
    }
    story
}

/// Plays a case on both servers. Returns what differs; none when the real one told what the embedded one did.
///
/// Parts of the real server learn of a write each in their own time, from a cache, so that it has several answers to the
/// same requests when the machine is busy. The embedded one has to give one of them: the real one is asked again, the
/// embedded one is not.
pub async fn compare(case: &Case, real: &Target, embedded: &Target) -> Option<String> {
    let (told, ours) = join(play(case, real), play(case, embedded)).await;
    let mut found = report(case, &told, &ours)?;
    if case.known.is_some() {
        return Some(found);
    }
    for nth in 1..=AGAIN {
        let again = Case { id: format!("{}-again-{nth}", case.id), ..case.clone() };
        let told = json!(play(&again, real).await).to_string().replace(&again.id, &case.id);
        let told: Story = serde_json::from_str(&told).unwrap();
        let Some(once_more) = report(case, &told, &ours) else {
            eprintln!("the real server had another answer the first time:\n{found}");
            return None;
        };
        found = once_more;
    }
    Some(found)
}

/// What differs between two stories of a case, to be read; none when they are the same.
pub fn report(case: &Case, real: &Story, embedded: &Story) -> Option<String> {
    let mut text = String::new();
    for (step, (real, embedded)) in case.steps.iter().zip(real.iter().zip(embedded)) {
        let mut found = Vec::new();
        let never = |answer: &Value| answer.get(NEVER).is_some();
        if never(real) && never(embedded) {
            found.push(format!("neither server came to that: {}", real["body"]));
        } else if real["code"] == embedded["code"] {
            differences("", real, embedded, &mut found);
        } else {
            let brief = |answer: &Value| {
                let message = &answer["body"]["message"];
                let causes = &answer["body"]["details"]["causes"];
                json!([
                    answer["code"],
                    if message.is_null() { &answer["body"] } else { message },
                    causes
                ])
            };
            differences("", &brief(real), &brief(embedded), &mut found);
        }
        if !found.is_empty() {
            let found: Vec<String> = found.iter().map(|line| format!("      {line}\n")).collect();
            text.push_str(&format!("    {}\n{}", step.line, found.concat()));
        }
    }
    (!text.is_empty()).then(|| format!("== {} ({})\n{text}", case.title, case.id))
}

struct Player {
    target: Target,
    namespace: String,
    /// Raw answers by label.
    answers: BTreeMap<String, Value>,
    watches: BTreeMap<String, Watch>,
    seen: Seen,
}

struct Watch {
    pieces: BoxStream<'static, Bytes>,
    unread: Vec<u8>,
}

impl Player {
    async fn step(&mut self, act: &Act, label: Option<&str>) -> Value {
        match act {
            Act::Ask(_) => {
                let (code, headers, bytes) = self.target.ask(self.sent(act)).await;
                self.keep(label, &bytes);
                let headers = self.seen.document(json!(headers));
                json!({"code": code, "headers": headers, "body": self.seen.normal(&bytes)})
            }
            Act::Until(wanted, words, _) => {
                let until = Instant::now() + PATIENCE;
                loop {
                    let (code, _, bytes) = self.target.ask(self.sent(act)).await;
                    let said = String::from_utf8_lossy(&bytes).contains(words);
                    if code == *wanted && said {
                        self.keep(label, &bytes);
                        return json!({"code": code, "body": self.seen.normal(&bytes)});
                    }
                    if Instant::now() > until {
                        return json!({"code": code, "body": self.seen.normal(&bytes), NEVER: true});
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
            Act::Watch(_) => {
                let answer = self.target.send(self.sent(act)).await;
                let label = label.expect("a watch has a label").to_owned();
                let said = json!({"code": answer.code, "headers": answer.headers});
                let pieces = answer.pieces.fuse().boxed();
                self.watches.insert(label, Watch { pieces, unread: Vec::new() });
                said
            }
            Act::Events(label, count) => {
                let mut events = Vec::new();
                while events.len() < *count {
                    let watch = self.watches.get_mut(label).expect("the watch was begun");
                    match tokio::time::timeout(PATIENCE, watch.next()).await {
                        Ok(Some(event)) => {
                            let mut normal = event.clone();
                            normal["object"] = self.seen.document(normal["object"].take());
                            self.answers.insert(label.clone(), event);
                            events.push(normal);
                        }
                        Ok(None) => {
                            events.push("the watch ended".into());
                            break;
                        }
                        Err(_) => {
                            return json!({"body": events, NEVER: true});
                        }
                    }
                }
                json!({"body": events})
            }
        }
    }

    fn keep(&mut self, label: Option<&str>, bytes: &[u8]) {
        if let Some(label) = label {
            let value = serde_json::from_slice(bytes).unwrap_or_default();
            self.answers.insert(label.to_owned(), value);
        }
    }

    fn sent(&self, act: &Act) -> Sent {
        let (Act::Ask(ask) | Act::Until(_, _, ask) | Act::Watch(ask)) = act else {
            unreachable!("events are not sent")
        };
        let Ask { method, path, headers, body } = ask;
        let headers = headers.iter().map(|(name, value)| (name.clone(), self.fill(value)));
        let mut path = self.fill(path);
        if matches!(act, Act::Watch(_)) && !path.contains("watch=") {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("watch=true");
        }
        Sent { method, path, headers: headers.collect(), body: script::body(&self.fill(body)) }
    }

    /// Replaces names with `$`.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, path) in script::SHORT {
            text = text.replace(name, path);
        }
        let mut text = text.replace("$ns", &self.namespace);
        while let Some((before, rest)) = text.split_once("${") {
            let (name, after) = rest.split_once('}').expect("${ is closed");
            text = format!("{before}{}{after}", self.answered(name));
        }
        text
    }

    /// `label.path.to.value` of an earlier answer.
    fn answered(&self, name: &str) -> String {
        let mut steps = name.split('.');
        let label = steps.next().unwrap_or_default();
        let value = self.answers.get(label).unwrap_or_else(|| panic!("nothing called {label}"));
        let found = steps.try_fold(value, |value, step| match step.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(step),
        });
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => format!("<no {name}>"),
        }
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.unread.extend_from_slice(&self.pieces.next().await?);
        }
    }
}
