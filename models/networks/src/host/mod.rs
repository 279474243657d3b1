//! What networks that are written out for the host have in common: registers of
//! f32 with their functions, memory that is kept between calls, and the face that
//! they show to a stack.

mod buffer;
mod network;
pub(crate) mod simd;

pub(crate) use buffer::Buffer;
pub(crate) use network::{Batch, HostNetwork, Scratch};
