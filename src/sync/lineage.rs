//! Which of the new commits are the branch's own, and which were merged into it: who brings a policy, and when it counts.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::news::{CommitNews, Policy, describe};
use crate::{
    model::CommitId,
    trust::{ALLOWED_SIGNERS_PATH, AllowedSigners, Refusal, ssh},
};

/// A commit of the branch, and what it merges: the commits that were not on the branch before it, parents first.
pub(super) struct Turn<'a> {
    /// Which of its parents was on the branch.
    on_branch: usize,
    /// The commit.
    pub commit: &'a CommitNews,
    /// What it merges.
    pub merged: Vec<&'a CommitNews>,
}

/// Returns the turns of the branch since `accepted`, oldest first. `commits` has each commit after its parents, and the
/// tip last.
///
/// The branch's own commits are those on the way from the tip to `accepted`: along the first parent that goes on from it.
/// The first parent alone would not do, for whoever pulls before they push makes a merge whose *second* parent was the
/// branch.
pub(super) fn turns<'a>(commits: &'a [CommitNews], accepted: &CommitId) -> Vec<Turn<'a>> {
    let places: HashMap<&CommitId, usize> =
        commits.iter().enumerate().map(|(at, commit)| (&commit.id, at)).collect();
    let mut goes_on: HashMap<&CommitId, usize> = HashMap::new();
    for commit in commits {
        let is_on = |parent: &CommitId| parent == accepted || goes_on.contains_key(parent);
        if let Some(parent) = commit.parents.iter().position(is_on) {
            goes_on.insert(&commit.id, parent);
        }
    }
    let mut branch = Vec::new();
    let mut at = commits.last();
    while let Some(commit) = at {
        let Some(parent) = goes_on.get(&commit.id) else { break };
        branch.push((commit, *parent));
        at = commit.parents.get(*parent).and_then(|id| places.get(id)).map(|at| &commits[*at]);
    }
    let mut taken: HashSet<usize> = branch.iter().map(|(c, _)| places[&c.id]).collect();
    let mut turns = Vec::with_capacity(branch.len());
    for (commit, on_branch) in branch.into_iter().rev() {
        let mut found = Vec::new();
        let mut open = vec![commit];
        while let Some(next) = open.pop() {
            for at in next.parents.iter().filter_map(|parent| places.get(parent)) {
                if taken.insert(*at) {
                    found.push(*at);
                    open.push(&commits[*at]);
                }
            }
        }
        found.sort_unstable();
        let merged = found.into_iter().map(|at| &commits[at]).collect();
        turns.push(Turn { on_branch, commit, merged });
    }
    turns
}

/// Whose word counts in a turn.
pub(super) struct InForce {
    /// For each merged commit: the policy that it is judged by.
    pub merged: Vec<Policy>,
    /// The policy after the turn, or why that of the turn's commit does not count and the one before stays.
    pub after: Result<Policy, String>,
}

/// Judges what a turn does to the policy that is in force before it.
///
/// A policy counts when somebody who stands in the one before signed the commit of the branch that brings it. It also
/// counts when it was merged just as such a person signed it, and was made for the very policy that is in force: what was
/// signed for an older one would bring back whom somebody has removed since.
pub(super) fn in_force(turn: &Turn<'_>, before: &Policy, now: Timestamp) -> InForce {
    let keep = || vec![before.clone(); turn.merged.len()];
    let changed = turn.commit.policy.as_ref().filter(|policy| {
        let was = policy.before.get(turn.on_branch);
        was != Some(&policy.after) && !is_text_of(before, policy.after.as_deref())
    });
    let Some(policy) = changed else {
        return InForce { merged: keep(), after: Ok(before.clone()) };
    };
    let (offered, last, objection) = offered(turn, before, now);
    if last.commit != before.commit && is_text_of(&last, policy.after.as_deref()) {
        let commit = Some(turn.commit.id.clone());
        return InForce { merged: offered, after: Ok(Policy { commit, ..last }) };
    }
    let after = signed(turn.commit, before, now)
        .and_then(|()| read(turn.commit, policy.after.as_deref()))
        .map_err(|why| objection.filter(|_| !turn.merged.is_empty()).unwrap_or(why));
    InForce { merged: keep(), after }
}

/// Follows the policy through the merged commits. Returns what is in force at each, what is offered in the end, and the
/// first objection to what was changed on the way.
fn offered(
    turn: &Turn<'_>,
    before: &Policy,
    now: Timestamp,
) -> (Vec<Policy>, Policy, Option<String>) {
    let mut at = before.clone();
    let (mut policies, mut objection) = (Vec::with_capacity(turn.merged.len()), None);
    for commit in &turn.merged {
        policies.push(at.clone());
        let Some(policy) = &commit.policy else { continue };
        if policy.before.contains(&policy.after) {
            continue;
        }
        let is_made_for_it =
            at.text.is_none() || policy.before.iter().any(|was| is_text_of(&at, was.as_deref()));
        let next = signed(commit, &at, now)
            .and_then(|()| match is_made_for_it {
                true => Ok(()),
                false => Err(
                    "it was made for another policy than the one in force; sign the merge, or commit it again on top of the branch".to_owned(),
                ),
            })
            .and_then(|()| read(commit, policy.after.as_deref()));
        match next {
            Ok(next) => at = next,
            Err(why) => {
                objection.get_or_insert(format!("merged commit {}: {why}", commit.id.short()));
            }
        }
    }
    (policies, at, objection)
}

fn is_text_of(policy: &Policy, text: Option<&str>) -> bool {
    policy.text.is_some() && policy.text.as_deref() == text
}

fn signed(commit: &CommitNews, policy: &Policy, now: Timestamp) -> Result<(), String> {
    let Some(signers) = &policy.signers else { return Err(super::news::LOCKED_OUT.to_owned()) };
    let refused = |refusal: Refusal| describe(&refusal);
    ssh::verify(&commit.evidence, signers, now).map(drop).map_err(refused)
}

fn read(commit: &CommitNews, text: Option<&str>) -> Result<Policy, String> {
    let text = text.ok_or("it deletes the policy")?;
    let signers =
        AllowedSigners::parse(text, ALLOWED_SIGNERS_PATH).map_err(|error| error.to_string())?;
    match signers.entries().is_empty() {
        true => Err("it names nobody, and nobody could change that again".to_owned()),
        false => Ok(Policy {
            commit: Some(commit.id.clone()),
            signers: Some(signers),
            text: Some(text.to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::{HashAlg, LineEnding, PrivateKey, SshSig, private::Ed25519Keypair};

    use super::*;
    use crate::{
        sync::{
            news::{ApprovalDocument, PolicyChange},
            read_news,
        },
        trust::Evidence,
    };

    fn key(name: char) -> PrivateKey {
        PrivateKey::new(Ed25519Keypair::from_seed(&[name as u8; 32]).into(), "test").unwrap()
    }

    /// The policy that names these people, a letter each.
    fn text(people: &str) -> String {
        let line = |name| format!("{name} {}\n", key(name).public_key().to_openssh().unwrap());
        people.chars().map(line).collect()
    }

    fn id(name: &str) -> CommitId {
        format!("{:0>40}", name.bytes().map(|b| format!("{b:02x}")).collect::<String>())
            .parse()
            .unwrap()
    }

    /// A history in words: `commit:parents:signer:people[:+]`, where `-` is nobody or nothing, and `+` an approval. Returns
    /// who stands in the policy in the end, the commits whose policy is refused, and the people whose approval counts.
    fn story(history: &str) -> (String, String, String) {
        let mut texts = HashMap::from([("base", text("ab"))]);
        let mut commits = Vec::new();
        for line in history.split_whitespace() {
            let parts: Vec<&str> = line.split(':').collect();
            let [name, parents, signer, people, ..] = parts[..] else { panic!("{line}") };
            let parents: Vec<&str> = parents.split(',').collect();
            let before: Vec<_> = parents.iter().map(|parent| texts[parent].clone()).collect();
            let after = if people == "=" { before[0].clone() } else { text(people) };
            let payload = line.as_bytes().to_vec();
            let evidence = match signer {
                "-" => Evidence::Unsigned,
                signer => {
                    let key = key(signer.chars().next().unwrap());
                    let signed = SshSig::sign(&key, "git", HashAlg::Sha512, &payload).unwrap();
                    Evidence::of(signed.to_pem(LineEnding::LF).unwrap().as_bytes(), payload)
                }
            };
            let approval = || {
                let value = serde_json::json!({"apiVersion": "gitops.tidegate.dev/v1alpha1", "kind": "Approval",
                    "spec": {"rollout": "web", "commit": id("base"), "stage": "canary", "task": "BeforeStage",
                        "decision": "Approve"}});
                ApprovalDocument { path: name.to_owned(), value, problem: None }
            };
            commits.push(CommitNews {
                id: id(name),
                parents: parents.iter().map(|parent| id(parent)).collect(),
                evidence,
                approvals: parts.get(4).map(|_| approval()).into_iter().collect(),
                trailers: Vec::new(),
                is_empty: false,
                policy: before.iter().any(|text| *text != after).then(|| PolicyChange {
                    before: before.into_iter().map(Some).collect(),
                    after: Some(after.clone()),
                }),
            });
            texts.insert(name, after);
        }
        let given = text("ab");
        let policy = Policy {
            commit: Some(id("base")),
            signers: Some(AllowedSigners::parse(&given, "f").unwrap()),
            text: Some(given),
        };
        let (found, after) = read_news(&id("base"), &commits, policy, Timestamp::UNIX_EPOCH);
        let people = after.signers.unwrap();
        let people = people.entries().iter().map(|entry| entry.principals.as_str()).collect();
        let named = |wanted: &str| {
            commits
                .iter()
                .find(|commit| commit.id.as_str() == wanted)
                .map(|commit| {
                    let at = commits.iter().position(|other| other.id == commit.id).unwrap();
                    history.split_whitespace().nth(at).unwrap().split(':').next().unwrap()
                })
                .unwrap()
        };
        let (policies, approvals): (Vec<_>, Vec<_>) =
            found.iter().partition(|record| record.path == ALLOWED_SIGNERS_PATH);
        let refused: Vec<&str> = policies.iter().map(|record| named(&record.commit)).collect();
        let counts: String = approvals
            .iter()
            .filter(|record| record.state == "Pending")
            .filter_map(|record| record.by.clone())
            .collect();
        (people, refused.join(","), counts)
    }

    #[test]
    fn a_policy_counts_when_somebody_in_force_signed_it_for_the_one_in_force() {
        for (history, people, refused, counts) in [
            // On the branch itself.
            ("x:base:a:abc", "abc", "", ""),
            ("x:base:-:abc", "ab", "x", ""),
            ("x:base:c:abc", "ab", "x", ""),
            // To put back by hand what was in force all the time needs nobody.
            ("x:base:-:abc y:x:-:ab", "ab", "x", ""),
            // To take back what counted does.
            ("x:base:a:b y:x:-:ab", "b", "y", ""),
            ("x:base:a:b y:x:a:ab", "b", "y", ""),
            ("x:base:a:b y:x:b:ab", "ab", "", ""),
            // Merged as it was signed: the merge itself is a forge's.
            ("s:base:a:abc m:base:-:= t:m,s:-:abc", "abc", "", ""),
            ("s:base:-:abc m:base:-:= t:m,s:-:abc", "ab", "t", ""),
            ("s:base:c:abc m:base:-:= t:m,s:-:abc", "ab", "t", ""),
            ("s:base:c:abc m:base:-:= t:m,s:a:abc", "abc", "", ""),
            ("s:base:a:abc r:s:c:bc m:base:-:= t:m,r:-:bc", "bc", "", ""),
            // Signed for an older policy: it would bring back whom somebody removed.
            ("m:base:b:b s:base:b:abc t:m,s:-:abc", "b", "t", ""),
            ("m:base:b:b s:base:b:abc t:m,s:b:abc", "abc", "", ""),
            ("m:base:b:b s:base:a:abc t:m,s:-:abc", "b", "t", ""),
            // Not even when somebody without a key put the old text back first.
            ("m:base:b:b n:m:-:ab s:base:b:abc t:n,s:-:abc", "b", "n,t", ""),
            // What is not in the merge is not in force, whoever signed it on the side.
            ("s:base:a:abc m:base:-:= t:m,s:-:ab", "ab", "", ""),
            ("m:base:b:b s:base:b:abc t:m,s:-:b", "b", "", ""),
            // Mixed by the merge: nobody signed that.
            ("m:base:a:abd s:base:a:abc t:m,s:-:abcd", "abd", "t", ""),
            ("m:base:a:abd s:base:a:abc t:m,s:d:abcd", "abcd", "", ""),
            // Pulled before it was pushed: the branch is the second parent.
            ("l:base:-:= m:base:a:abc t:l,m:-:abc", "abc", "", ""),
            // Approvals are judged by what is in force where they are merged.
            ("x:base:a:b:+", "b", "", "a"),
            ("x:base:a:b y:x:a:=:+", "b", "", ""),
            ("m:base:b:b s:base:a:=:+ t:m,s:-:b", "b", "", ""),
            ("s:base:a:abc r:s:c:=:+ m:base:-:= t:m,r:-:abc", "abc", "", "c"),
            ("s:base:a:abc r:s:c:=:+ m:base:-:= t:m,r:-:ab", "ab", "", ""),
            ("s:base:a:=:+ r:base:b:=:+ m:base:-:= t:m,s,r:-:=", "ab", "", "ab"),
        ] {
            let want = (people.to_owned(), refused.to_owned(), counts.to_owned());
            assert_eq!(story(history), want, "{history}");
        }
    }

    #[test]
    fn the_branch_is_found_whichever_parent_it_is() {
        let commit = |name: &str, parents: &[&str]| CommitNews {
            id: id(name),
            parents: parents.iter().map(|parent| id(parent)).collect(),
            evidence: Evidence::Unsigned,
            approvals: Vec::new(),
            trailers: Vec::new(),
            is_empty: true,
            policy: None,
        };
        let commits = [
            commit("old", &["older"]),
            commit("side", &["old"]),
            commit("one", &["base"]),
            commit("two", &["side", "one"]),
            commit("orphan", &[]),
            commit("three", &["two", "orphan"]),
        ];
        let turns = turns(&commits, &id("base"));
        let told: Vec<(CommitId, usize, Vec<CommitId>)> = turns
            .iter()
            .map(|turn| {
                let merged = turn.merged.iter().map(|commit| commit.id.clone()).collect();
                (turn.commit.id.clone(), turn.on_branch, merged)
            })
            .collect();
        assert_eq!(
            told,
            [
                (id("one"), 0, vec![]),
                (id("two"), 1, vec![id("old"), id("side")]),
                (id("three"), 0, vec![id("orphan")]),
            ]
        );
    }
}
