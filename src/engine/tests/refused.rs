//! Blocks of the node's own user that break a rule: the answer says so, and why.

use quipu_protocol::{Body, Reward};

use super::*;

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
    let block = bench.solve(
        &bench.genesis(),
        Body { context: bench.context(&bench.genesis()), reward, transactions: vec![].into() },
        |_| {},
    );
    let checked = check_block(block, &bench.network).expect("valid without the accounts");
    for _ in 0..2 {
        let answer = bench.command(Command::SubmitBlock { block: Box::new(checked.clone()) });
        assert!(refusal(&answer).contains("subsidy and fees make 1"), "{answer:?}");
    }
}
