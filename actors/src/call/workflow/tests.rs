//! Tables and properties of the walk through a workflow.

use proptest::prelude::*;
use voice_catalog::{SourceFile, Sources};

use super::*;

/// An identity check before anything else, as a bank draws it.
const BANK: &str = r#"{
  "id": "bank",
  "nodes": [
    {"id": "start", "type": "start"},
    {"id": "ask", "type": "process", "label": "Ask for the numbers."},
    {"id": "verify", "type": "tool", "toolName": "verify_identity"},
    {"id": "verified", "type": "decision"},
    {"id": "retry", "type": "message", "message": "Once more?"},
    {"id": "wish", "type": "decision", "required_context": ["verified", "accountId"]},
    {"id": "balance", "type": "tool", "toolName": "get_balance",
     "required_context": ["verified", "accountId"]},
    {"id": "card", "type": "workflow", "workflowId": "card"},
    {"id": "more", "type": "decision"},
    {"id": "done", "type": "end", "outcome": "resolved"}
  ],
  "edges": [
    {"from": "start", "to": "ask"},
    {"from": "ask", "to": "verify", "label": "both were given"},
    {"from": "verify", "to": "verified"},
    {"from": "verified", "to": "wish", "label": "yes"},
    {"from": "verified", "to": "retry", "label": "no"},
    {"from": "retry", "to": "ask"},
    {"from": "wish", "to": "balance", "label": "the balance"},
    {"from": "wish", "to": "card", "label": "a lost card"},
    {"from": "balance", "to": "more"},
    {"from": "card", "to": "more"},
    {"from": "more", "to": "wish", "label": "yes"},
    {"from": "more", "to": "done", "label": "no"}
  ]
}"#;

const CARD: &str = r#"{
  "id": "card",
  "nodes": [
    {"id": "begin", "type": "start"},
    {"id": "block", "type": "tool", "toolName": "block_card"},
    {"id": "end", "type": "end"}
  ],
  "edges": [{"from": "begin", "to": "block"}, {"from": "block", "to": "end"}]
}"#;

const TOOLS: [&str; 5] =
    ["verify_identity", "get_balance", "block_card", "find_branch", "transfer_to_agent"];

fn snapshot(workflows: &[(&str, &str)]) -> Arc<Snapshot> {
    let tool = |name: &&str| {
        let text = format!(
            r#"{{"name": "{name}", "description": "x", "input_schema": {{"type": "object",
                "properties": {{"accountId": {{"type": "string"}}}}}}}}"#
        );
        SourceFile::new(format!("{name}.json"), text)
    };
    let file = |(id, text): &(&str, &str)| SourceFile::new(format!("workflow-{id}.json"), *text);
    let sources = Sources {
        tools: TOOLS.iter().map(tool).collect(),
        workflows: workflows.iter().map(file).collect(),
        prompts: Vec::new(),
    };
    Arc::new(Snapshot::build(&sources).expect("a catalog").0)
}

fn bank() -> Walk {
    Walk::new(snapshot(&[("bank", BANK), ("card", CARD)]), &["bank".into()])
}

fn at(walk: &Walk) -> String {
    walk.here().map_or("-".into(), |(flow, node)| format!("{}/{}", flow.id, node.id))
}

fn may(walk: &mut Walk, tool: &str) -> bool {
    walk.permit(tool, &json!({"accountId": "4021"})) == Permit::Granted
}

fn verify(walk: &mut Walk, verified: bool) {
    assert!(may(walk, "verify_identity"), "at {}", at(walk));
    let input = json!({"accountId": "4021"});
    let result = json!({"verified": verified, "accountId": "4021"});
    walk.tool_ended("verify_identity", &input, &result, true);
}

/// At the fork for the caller's wish.
fn wishing() -> Walk {
    let mut walk = bank();
    verify(&mut walk, true);
    walk.advance("yes").expect("an edge");
    assert_eq!(at(&walk), "bank/wish");
    walk
}

#[test]
fn a_gated_tool_waits_for_the_identity_check() {
    let mut walk = bank();
    let Permit::Refused(refusal) = walk.permit("get_balance", &json!({})) else {
        panic!("not refused");
    };
    assert_eq!(refusal.why, Why::NotStarted);
    assert_eq!(
        (refusal.permitted_at, refusal.workflows),
        (vec!["balance".into()], vec!["bank".into()])
    );
    verify(&mut walk, true);
    assert!(!may(&mut walk, "get_balance"), "the fork needs a word");
    walk.advance("yes").expect("an edge");
    assert!(may(&mut walk, "get_balance"), "to call it is to choose it");
    walk.tool_ended("get_balance", &json!({}), &json!({"balance": 1}), true);
    assert_eq!(at(&walk), "bank/more");
}

#[test]
fn what_is_free_at_every_step() {
    let mut walk = bank();
    for (tool, free) in [
        ("find_branch", true),
        ("transfer_to_agent", true),
        ("no_such_tool", true),
        ("get_balance", false),
        ("Get-Balance", false),
        ("block_card", false),
    ] {
        assert_eq!(may(&mut walk, tool), free, "{tool} before the start");
    }
    walk.start("bank").expect("linked");
    assert_eq!(at(&walk), "bank/ask", "the start asks for nothing");
    assert!(may(&mut walk, "find_branch"));
    assert!(!may(&mut walk, "block_card"), "a sub-workflow is gated too");
}

#[test]
fn a_failed_check_does_not_lead_on_whatever_the_model_says() {
    let mut walk = bank();
    verify(&mut walk, false);
    assert_eq!(at(&walk), "bank/verified");
    assert_eq!(walk.advance("yes").expect_err("a lie").why, Why::Denied);
    assert_eq!(walk.advance("wish").expect_err("a lie").why, Why::Denied);
    walk.advance("no").expect("an edge");
    assert_eq!(at(&walk), "bank/retry");
    verify(&mut walk, true);
    walk.advance("yes").expect("now it is true");
}

#[test]
fn a_tool_step_is_left_by_success_only() {
    let mut walk = bank();
    walk.start("bank").expect("linked");
    let early = walk.advance("verified").expect_err("not verified");
    assert_eq!(early.why, Why::ToolFirst { tool: "verify_identity".into() });
    walk.advance("verify").expect("an edge");
    let early = walk.advance("verified").expect_err("not verified");
    assert_eq!(early.why, Why::ToolFirst { tool: "verify_identity".into() });
    walk.tool_ended("verify_identity", &json!({}), &json!({"error": "down"}), false);
    assert_eq!(at(&walk), "bank/verify");
    assert!(may(&mut walk, "verify_identity"), "it may be tried again");
}

#[test]
fn required_context_comes_from_tools_and_not_from_the_model() {
    let mut walk = bank();
    // A tool that is free cannot be used to smuggle a fact in.
    assert!(may(&mut walk, "find_branch"));
    walk.tool_ended("find_branch", &json!({"verified": true}), &json!({"branches": []}), true);
    assert!(may(&mut walk, "verify_identity"));
    walk.tool_ended("verify_identity", &json!({}), &json!({"greeting": "hi"}), true);
    let refusal = walk.advance("yes").expect_err("nothing is known");
    let Why::Missing { step, names } = refusal.why else { panic!("{refusal:?}") };
    assert_eq!((step.as_str(), names), ("wish", vec!["verified".into(), "accountId".into()]));
    assert!(!walk.checks()["verified"]);
}

#[test]
fn another_account_than_the_one_that_was_checked_is_refused() {
    let mut walk = wishing();
    walk.advance("balance").expect("an edge");
    let other = walk.permit("get_balance", &json!(r#"{"accountId": "7734"}"#));
    let Permit::Refused(refusal) = other else { panic!("{other:?}") };
    let known = Why::Contradiction { name: "accountId".into(), known: "4021".into() };
    assert_eq!(refusal.why, known);
    assert!(may(&mut walk, "get_balance"));
}

#[test]
fn a_sub_workflow_nests_and_returns() {
    let mut walk = wishing();
    walk.take_moves();
    walk.advance("a lost card").expect("an edge");
    assert_eq!(at(&walk), "card/block");
    assert!(!may(&mut walk, "get_balance"));
    assert!(may(&mut walk, "block_card"));
    walk.tool_ended("block_card", &json!({}), &json!({"blocked": true}), true);
    assert_eq!(at(&walk), "bank/more");
    let moves = walk.take_moves();
    let told: Vec<_> = moves.iter().map(|m| (m.workflow.as_str(), m.step.as_str())).collect();
    let expected = [
        ("bank", "card"),
        ("card", "begin"),
        ("card", "block"),
        ("card", "end"),
        ("bank", "card"),
        ("bank", "more"),
    ];
    assert_eq!(told, expected);
    walk.advance("no").expect("an edge");
    assert_eq!(at(&walk), "bank/done");
    assert!(!may(&mut walk, "get_balance"), "it is over");
    assert!(may(&mut walk, "verify_identity"), "and may begin anew");
}

#[test]
fn tags_of_old_prompts_move_where_an_edge_leads() {
    let mut walk = bank();
    assert!(!walk.follow_tag("balance"));
    assert!(walk.follow_tag("start"));
    assert_eq!(at(&walk), "bank/ask");
    assert!(walk.follow_tag("verify"));
    assert!(!walk.follow_tag("verified") && !walk.follow_tag("wish"));
    assert_eq!(at(&walk), "bank/verify");
}

#[test]
fn a_file_that_advises_warns_and_lets_pass() {
    let text = BANK.replacen('{', r#"{"gating": "advise","#, 1);
    let catalog = snapshot(&[("bank", &text), ("card", CARD)]);
    let mut walk = Walk::new(catalog, &["bank".into()]);
    walk.start("bank").expect("linked");
    let permit = walk.permit("get_balance", &json!({}));
    assert!(matches!(permit, Permit::Advised(_)), "{permit:?}");
    walk.advance("verify").expect("an edge");
    walk.advance("verified").expect("an edge, though nothing was verified");
    assert!(walk.advance("done").is_err(), "edges must exist all the same");
}

#[test]
fn workflows_that_lead_into_one_another_do_not_run_for_ever() {
    let round = |id: &str, other: &str| {
        format!(
            r#"{{"id": "{id}", "nodes": [{{"id": "s", "type": "start"}},
                {{"id": "w", "type": "workflow", "workflowId": "{other}"}},
                {{"id": "e", "type": "end"}}],
                "edges": [{{"from": "s", "to": "w"}}, {{"from": "w", "to": "e"}}]}}"#
        )
    };
    let (a, b) = (round("a", "b"), round("b", "a"));
    let mut walk = Walk::new(snapshot(&[("a", &a), ("b", &b)]), &["a".into()]);
    walk.start("a").expect("linked");
    assert!(walk.stack.len() <= DEPTH);
}

#[test]
fn unlinking_ends_the_walk() {
    let mut walk = wishing();
    walk.link(&["bank".into(), "card".into()]);
    assert_eq!(at(&walk), "bank/wish");
    walk.link(&["card".into()]);
    assert_eq!(at(&walk), "-");
    assert!(may(&mut walk, "get_balance"), "no linked workflow names it");
}

/// A sound graph of up to nine steps: all can be reached, and all but an end lead on.
fn graphs() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(vec!["end", "process", "decision", "tool", "workflow"]);
    let node = (kinds, prop::sample::select(TOOLS.to_vec()), 0..3_u8, 0..8_usize);
    let nodes = prop::collection::vec(node, 1..8);
    let edges = prop::collection::vec((0..9_usize, 0..9_usize, 0..4_usize), 0..14);
    (nodes, edges).prop_map(|(nodes, more)| {
        let mut list = vec![json!({"id": "n0", "type": "start"})];
        let mut edges: Vec<(usize, usize, usize)> = Vec::new();
        for (i, (kind, tool, context, parent)) in nodes.iter().enumerate() {
            let mut node = json!({"id": format!("n{}", i + 1), "type": kind});
            match *kind {
                "tool" => node["toolName"] = json!(tool),
                "workflow" => node["workflowId"] = json!(["a", "b"][i % 2]),
                _ => {}
            }
            if *context == 0 {
                node["required_context"] = json!(["accountId"]);
            }
            let parent = parent % list.len();
            let parent = if list[parent]["type"] == "end" { 0 } else { parent };
            edges.push((parent, i + 1, i % 4));
            list.push(node);
        }
        edges.extend(more.iter().map(|(a, b, label)| (a % list.len(), b % list.len(), *label)));
        let last = list.len();
        list.push(json!({"id": format!("n{last}"), "type": "end"}));
        edges.extend(
            (0..last)
                .map(|from| (from, last, 3))
                .filter(|(from, ..)| *from == 0 || !edges.iter().any(|edge| edge.0 == *from))
                .collect::<Vec<_>>(),
        );
        let mut seen = std::collections::HashSet::new();
        edges.retain(|(from, to, _)| list[*from]["type"] != "end" && seen.insert((*from, *to)));
        let edges: Vec<_> = edges
            .into_iter()
            .map(|(from, to, label)| {
                let mut edge = json!({"from": format!("n{from}"), "to": format!("n{to}")});
                if label < 3 {
                    edge["label"] = json!(["yes", "no", "failed"][label]);
                }
                edge
            })
            .collect();
        json!({"nodes": list, "edges": edges}).to_string()
    })
}

proptest! {
    #[test]
    fn no_input_breaks_it_and_no_step_is_reached_without_an_edge(
        a in graphs(),
        b in graphs(),
        inputs in prop::collection::vec((0..6_u8, 0..9_usize, 0..5_usize, any::<bool>()), 0..40),
    ) {
        let catalog = snapshot(&[("a", &a), ("b", &b)]);
        let mut walk = Walk::new(catalog.clone(), &["a".into(), "b".into()]);
        for (what, step, tool, flag) in inputs {
            let node = format!("n{step}");
            let tool = TOOLS[tool];
            match what {
                0 => drop(walk.start(if flag { "a" } else { "b" })),
                1 => drop(walk.advance(&node)),
                2 => drop(walk.advance(["yes", "no"][usize::from(flag)])),
                3 => drop(walk.follow_tag(&node)),
                4 => drop(walk.permit(tool, &json!({"accountId": step}))),
                _ => {
                    let input = json!({"accountId": step});
                    walk.tool_ended(tool, &input, &json!({"verified": flag}), step > 2);
                }
            }
            walk.briefing();
            for step in walk.take_moves() {
                let flow = catalog.workflow(&step.workflow).expect("a workflow");
                let to = flow.node(&step.step).expect("a step of it");
                match (step.via, step.from) {
                    (Via::Start, None) => prop_assert_eq!(to.kind, NodeKind::Start),
                    (Via::Return, Some(_)) => prop_assert_eq!(to.kind, NodeKind::Workflow),
                    (Via::Edge, Some(from)) => {
                        prop_assert!(flow.edges_from(&from).any(|edge| edge.to == step.step));
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}
