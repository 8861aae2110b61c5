//! Whole numbers and what lies between them, for patterns that are evaluated at every pixel.

/// The largest whole number that isn't above, without the call into the mathematics library that older processors need.
pub(crate) fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from(x < whole as f32)
}

/// How far beyond the last whole number, 0 to 1.
pub(crate) fn phase(x: f32) -> f32 {
    x - floor(x) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for i in -4000..4000 {
            let x = i as f32 * 0.013_7;
            assert_eq!(floor(x), x.floor() as i32);
            assert_eq!(phase(x), x - x.floor());
        }
    }
}
