//! Blocks of the node's own user that break a rule: the answer says so, and why.

use quipu_protocol::{Body, Reward};

use super::super::view::MiningWait;
use super::*;

/// A network on which two rewards overflow an account.
fn bench() -> Bench {
    Bench::with(Parameters { subsidy: Amount::from_units(u64::MAX / 2 + 1), ..Parameters::dev() })
}

fn mine(count: u64, to: Option<Address>) -> Command {
    Command::Mine { count, to }
}

fn refusal(answer: &Result<Answer, CommandError>) -> &str {
    let Err(CommandError::BlockRefused(why)) = answer else { panic!("not refused: {answer:?}") };
    why
}

impl Bench {
    fn start_job(&mut self, count: u64) {
        self.event(Event::Command { ticket: Ticket(1), command: mine(count, None) });
    }

    fn last_answer(&mut self) -> Result<Answer, CommandError> {
        self.seen.answers.pop().expect("an answer").1
    }
}

#[test]
fn no_nonce_is_searched_for_a_reward_that_has_no_room() {
    let mut bench = bench();
    bench.start_job(3);
    bench.find_nonces(1);
    let answer = bench.last_answer();
    let why = refusal(&answer);
    assert!(why.contains("R18") && why.contains("1 block was mined before"), "{why}");
    assert_eq!((bench.height(), bench.template), (1, None));
    let mode = bench.command(Command::SetMining { mode: MiningMode::On, to: None });
    assert!(refusal(&mode).contains("another account"));
    bench.start_job(1);
    assert!(!refusal(&bench.last_answer()).contains("before"));
    assert_eq!((bench.template, bench.engine.view().mining.mode), (None, MiningMode::Off));

    let other = Some(key(7).public_key().address());
    bench.event(Event::Command { ticket: Ticket(2), command: mine(1, other) });
    bench.find_nonces(1);
    assert!(matches!(bench.last_answer(), Ok(Answer::Mined(places)) if places[0].height.0 == 2));
}

#[test]
fn a_node_that_mines_by_itself_tells_once_that_it_stops() {
    let mut bench = bench();
    bench.mine_always();
    bench.find_nonces(1);
    bench.wait(Millis(5_000));
    bench.wait(Millis(5_000));
    let told = bench.seen.notices.iter().filter(|notice| matches!(notice, Notice::NotMined(_))).count();
    assert_eq!((told, bench.height(), bench.template), (1, 1, None));
    assert_eq!(bench.engine.view().mining.waits_for, Some(MiningWait::Account));
}

/// Whatever rule the template breaks unnoticed.
#[test]
fn a_mined_block_that_is_refused_is_no_mined_block() {
    let mut bench = Bench::new();
    bench.start_job(2);
    bench.find_nonces(1);
    // From now on the templates of this engine have another reward than its chain expects.
    let wrong = Parameters { subsidy: Amount::from_units(5), ..Parameters::dev() };
    bench.engine.network = Arc::new(Network::new(wrong).expect("valid parameters"));
    bench.wait(Millis(1_000));
    bench.find_nonces(1);
    let answer = bench.last_answer();
    let why = refusal(&answer);
    assert!(why.contains("subsidy and fees make 1") && why.contains("1 block was mined before"), "{why}");
    assert_eq!(bench.height(), 1);
}

#[test]
fn a_submitted_block_that_is_refused_is_answered_with_the_rule_each_time() {
    let mut bench = Bench::new();
    let reward = Reward { to: Address([7; 20]), amount: Amount::from_units(5) };
    let block = bench.solve(&bench.genesis(), Body { reward, transactions: vec![].into() }, |_| {});
    let checked = check_block(block, &bench.network).expect("valid without the accounts");
    for _ in 0..2 {
        let answer = bench.command(Command::SubmitBlock { block: Box::new(checked.clone()) });
        assert!(refusal(&answer).contains("subsidy and fees make 1"), "{answer:?}");
    }
}
