//! Delays stay within their bounds, and invalid settings are refused.

use super::Backoff;
use crate::base::random::Random;
use std::time::Duration;

/// T29: delays grow by the factor and are capped, and no settings make them overflow.
#[test]
fn delays_grow_are_capped_and_never_overflow() {
    let mut random = Random::seeded(29);
    for _ in 0..2_000 {
        let mut draw = |most: f64| most.powf(random.unit());
        let first = Duration::from_secs_f64(draw(1e6) / 1e3);
        let max = first.saturating_mul(2).saturating_add(Duration::from_secs_f64(draw(1e9)));
        let factor = draw(10.0);
        let jitter = random.unit();
        let backoff = Backoff::new().first(first).max(max).factor(factor).jitter(jitter);
        assert_eq!(backoff.check(), Ok(()));
        let fixed = backoff.jitter(0.0);
        assert_eq!(fixed.delay(0, 0.5), first);
        for attempt in (0..80).chain([1 << 20, u32::MAX - 1]) {
            let (now, next) = (fixed.delay(attempt, 0.0), fixed.delay(attempt + 1, 0.0));
            let grown = (now.as_secs_f64() * factor).min(max.as_secs_f64());
            let error = (next.as_secs_f64() - grown).abs();
            assert!(error <= 1e-6 * grown + 1e-8, "{backoff:?} {attempt}: {now:?} {next:?}");
            let drawn = backoff.delay(attempt, random.unit());
            let least = now.mul_f64(1.0 - jitter).saturating_sub(Duration::from_nanos(2));
            assert!(least <= drawn && drawn <= max, "{backoff:?} {attempt}: {drawn:?}");
        }
    }
}

#[test]
fn the_longest_and_the_shortest_delays_do_not_overflow() {
    let huge = Backoff::new().first(Duration::MAX).max(Duration::MAX).factor(f64::MAX);
    assert_eq!(huge.check(), Ok(()));
    assert_eq!(huge.delay(u32::MAX, 1.0), Duration::MAX);
    assert_eq!(Backoff::none().delay(u32::MAX, 1.0), Duration::ZERO);
    assert!(Backoff::new().delay(3, f64::NAN) <= Duration::from_secs(30));
}

#[test]
fn a_refused_setting_is_named() {
    let named = |backoff: Backoff, word| backoff.check().unwrap_err().contains(word);
    assert!(named(Backoff::new().first(Duration::ZERO), "zero"));
    assert!(named(Backoff::new().max(Duration::from_millis(1)), "max"));
    assert!(named(Backoff::new().factor(f64::INFINITY), "factor"));
    assert!(named(Backoff::new().factor(0.9), "factor"));
    assert!(named(Backoff::new().jitter(f64::NAN), "jitter"));
    assert!(named(Backoff::new().jitter(1.1), "jitter"));
    let seconds = Duration::from_secs;
    assert!(named(Backoff::new().give_up_after(seconds(30)), "give_up_after"));
    assert_eq!(Backoff::new().give_up_after(seconds(31)).check(), Ok(()));
    assert_eq!(Backoff::none().check(), Ok(()));
    assert_eq!(Backoff::default().check(), Ok(()));
}
