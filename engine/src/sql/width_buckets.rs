//! The bucket of a float.

/// The bucket that a number is in, of so many between two bounds; those outside are 0 and one more than there are.
pub(super) fn of_floats(value: f64, low: f64, high: f64, count: i32) -> Result<i32, String> {
    if count <= 0 {
        return Err("the count of buckets is positive".to_owned());
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err("NaN has no bucket".to_owned());
    }
    if !low.is_finite() || !high.is_finite() {
        return Err("the bounds of buckets are finite".to_owned());
    }
    let beyond = || count.checked_add(1).ok_or_else(|| "the bucket is out of the range of integer".to_owned());
    let (part, all) = if low < high {
        if value < low {
            return Ok(0);
        }
        if value >= high {
            return beyond();
        }
        (value - low, high - low)
    } else if low > high {
        if value > low {
            return Ok(0);
        }
        if value <= high {
            return beyond();
        }
        (low - value, low - high)
    } else {
        return Err("the bounds of buckets are not equal".to_owned());
    };
    let bucket = f64::from(count) * part / all + 1.0;
    if !(1.0..=f64::from(i32::MAX)).contains(&bucket) {
        return Err("the bounds of buckets are too far apart".to_owned());
    }
    #[allow(clippy::cast_possible_truncation, reason = "the range has been looked at")]
    Ok(bucket as i32)
}
