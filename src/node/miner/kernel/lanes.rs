//! SHA-256 over vectors whose lanes each have a nonce of their own, written once for all vector sizes.
//!
//! A file for an instruction set defines the operations on its vectors (`splat`, `add`, `big_sigma_0`, ...) and
//! invokes `scan!`. It is a macro because functions of an instruction set are only inlined into each other if all of
//! them name it. Nothing here is unsafe.

/// One round. The variables move on by one place in the next round, which the order of the names says.
macro_rules! round {
    ($addend:expr, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
        let t1 = add(add(add($h, $addend), ch($e, $f, $g)), big_sigma_1($e));
        $d = add($d, t1);
        $h = add(add(t1, maj($a, $b, $c)), big_sigma_0($a));
    };
}

/// Eight rounds from round `$t` on, after which every variable is in its place again. `$word` gives what is added to
/// `T1` for each.
macro_rules! eight_rounds {
    ($word:ident, $t:expr, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
        round!($word!($t), $a $b $c $d $e $f $g $h);
        round!($word!($t + 1), $h $a $b $c $d $e $f $g);
        round!($word!($t + 2), $g $h $a $b $c $d $e $f);
        round!($word!($t + 3), $f $g $h $a $b $c $d $e);
        round!($word!($t + 4), $e $f $g $h $a $b $c $d);
        round!($word!($t + 5), $d $e $f $g $h $a $b $c);
        round!($word!($t + 6), $c $d $e $f $g $h $a $b);
        round!($word!($t + 7), $b $c $d $e $f $g $h $a);
    };
}

/// Defines `scan`, which tries values of the varying word: see [`Kernel::scan`](super::Kernel::scan).
macro_rules! scan {
    ($features:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn scan(
            midstate: &[u32; 8],
            block: &[u8; 64],
            first: u32,
            count: u32,
            bound: u32,
        ) -> Option<u32> {
            let fixed = Fixed::new(midstate, block);
            for done in (0..count).step_by($lanes) {
                let hits = at_most(first_word(&fixed, count_up(first.wrapping_add(done))), bound);
                if hits != 0 {
                    // The last vector may go on behind the end.
                    return Some(done + hits.trailing_zeros()).filter(|hit| *hit < count);
                }
            }
            None
        }

        /// The first word of the hash, for these values of the varying word.
        ///
        /// Inlined into the loop, the compiler would prepare a vector of each constant before it, over 100 of them.
        /// Adding a constant from memory to all lanes is as fast.
        #[inline(never)]
        #[target_feature(enable = $features)]
        fn first_word(fixed: &Fixed, varying: Vector) -> Vector {
            let Fixed { start, addends, schedule, .. } = fixed;
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = start.map(|word| splat(word));
            a = add(a, varying);
            e = add(e, varying);
            // Words 22 to 37 of the schedule, then in their places those after them.
            let mut w = [varying; 16];
            w[22 & 15] = add(splat(schedule[22]), small_sigma_0(varying));
            w[23 & 15] = add(splat(schedule[23]), varying);

            macro_rules! known {
                ($t:expr) => { splat(addends[$t]) };
            }
            macro_rules! word {
                ($t:expr) => {{
                    const T: usize = $t;
                    if T > 23 {
                        let mut sum = small_sigma_1(w[(T - 2) & 15]);
                        if T < 38 {
                            sum = add(sum, splat(schedule[T]));
                        }
                        if T > 28 {
                            sum = add(sum, w[(T - 7) & 15]);
                        }
                        if T > 36 {
                            sum = add(sum, small_sigma_0(w[(T - 15) & 15]));
                        }
                        if T > 37 {
                            sum = add(sum, w[(T - 16) & 15]);
                        }
                        w[T & 15] = sum;
                    }
                    if T < 22 { splat(addends[T]) } else { add(w[T & 15], splat(addends[T])) }
                }};
            }
            eight_rounds!(known, 8, a b c d e f g h);
            eight_rounds!(word, 16, a b c d e f g h);
            eight_rounds!(word, 24, a b c d e f g h);
            eight_rounds!(word, 32, a b c d e f g h);
            eight_rounds!(word, 40, a b c d e f g h);
            eight_rounds!(word, 48, a b c d e f g h);
            eight_rounds!(word, 56, a b c d e f g h);
            // `e` after the last round is not asked for, nor is what the others become.
            let _ = (b, c, d, e, f, g, h);
            a
        }
    };
}

pub(super) use {eight_rounds, round, scan};
