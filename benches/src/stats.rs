//! What is said about many measurements.

/// The value that the fraction `q` (0 to 1) of the samples is below; 0 without samples.
pub fn quantile(samples: &mut [u64], q: f64) -> f64 {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * q).round() as usize).map_or(0.0, |&value| value as f64)
}

/// The middle value, or the mean of the two middle ones; 0 without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_quantiles_reach_both_ends() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        let mut samples = [50, 10, 40, 20, 30];
        assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&mut samples, q)), [10.0, 30.0, 50.0]);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
