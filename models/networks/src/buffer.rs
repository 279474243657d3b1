//! The memory of kernels.

/// Values a cache line.
const LINE: usize = 16;

/// Memory on a cache line's boundary that is kept between calls.
#[derive(Default)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` values, whatever they were before.
    pub(crate) fn get(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + LINE {
            self.0 = vec![0.0; len + LINE];
        }
        let skip = self.0.as_ptr().align_offset(64).min(LINE);
        &mut self.0[skip..skip + len]
    }

    /// The first `len` values of what [`get`](Self::get) gave.
    pub(crate) fn held(&self, len: usize) -> &[f32] {
        let skip = self.0.as_ptr().align_offset(64).min(LINE);
        &self.0[skip..skip + len]
    }

    pub(crate) fn zeros(&mut self, len: usize) -> &mut [f32] {
        let values = self.get(len);
        values.fill(0.0);
        values
    }
}
