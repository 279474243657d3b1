//! safetensors files of f32 with one JSON text in the header, for members and
//! checkpoints.

use crate::files::{from_text, to_text};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Key of the text among the header's metadata.
const METADATA_KEY: &str = "sideband";

/// The bytes of a file: tensors by name and shape, and what is said about them.
pub(super) fn to_bytes(
    tensors: &[(&str, Vec<usize>, &[f32])],
    about: &impl Serialize,
) -> Result<Vec<u8>, String> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let text = to_text(about, false).map_err(|e| e.to_string())?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// What is said about the tensors of a file.
pub(super) fn about<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get(METADATA_KEY))
        .ok_or("no `sideband` entry in its header")?;
    from_text(text)
}

/// Shape and values of a tensor.
pub(super) fn values(
    found: &SafeTensors<'_>,
    name: &str,
) -> Result<(Vec<usize>, Vec<f32>), String> {
    let view = found.tensor(name).map_err(|e| e.to_string())?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` is not f32"));
    }
    let values = view.data().chunks_exact(4);
    let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok((view.shape().to_vec(), values.collect()))
}

/// SHA-256 of numbers, little-endian, and of what is said about them, as JSON.
pub(super) fn digest(values: &[&[f32]], about: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    for value in values.iter().flat_map(|list| list.iter()) {
        hash.update(value.to_le_bytes());
    }
    hash.update(serde_json::to_string(about).unwrap_or_default());
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
