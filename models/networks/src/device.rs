//! The device is a value: which backend runs is chosen at run time by name.
//!
//! | name | backend | built with |
//! |---|---|---|
//! | `cpu` | burn-flex (pure Rust, SIMD) | always |
//! | `ndarray` | burn-ndarray (deprecated upstream) | feature `ndarray` |
//! | `wgpu`, `wgpu:N`, `wgpu:cpu` | WebGPU over Vulkan, Metal or DirectX 12 | feature `wgpu` |
//! | `cuda`, `cuda:N` | CUDA | feature `cuda` |

use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// Why a device cannot be used.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DeviceError {
    /// The name is not one of the known forms.
    #[error(
        "device `{0}` is not known; allowed are cpu, ndarray, wgpu, wgpu:N, wgpu:cpu, cuda, cuda:N"
    )]
    Unknown(String),
    /// The backend is not in this binary.
    #[error(
        "device `{name}` needs a binary with the backend `{backend}`; this one was built with {}: \
         choose such a device, or take another binary",
        backends().join(", ")
    )]
    NotCompiled { name: String, backend: String },
    /// The backend is there, the hardware or driver is not.
    #[error(
        "device `{name}` cannot be opened: {reason}; `sideband devices` lists what this machine offers"
    )]
    Unavailable { name: String, reason: String },
    /// An operation failed while running.
    #[error("device `{name}` failed while computing: {reason}")]
    Failed { name: String, reason: String },
}

impl DeviceError {
    /// Whether the device ran out of memory: the backends say so in a panic's
    /// words only.
    pub fn is_out_of_memory(&self) -> bool {
        let Self::Failed { reason, .. } = self else {
            return false;
        };
        let reason = reason.to_lowercase().replace(['_', ' '], "");
        [
            "outofmemory",
            "can'tallocate",
            "cannotallocate",
            "buffertoobig",
            "notenoughmemory",
            "memoryleft",
            "allocationfailed",
        ]
        .iter()
        .any(|words| reason.contains(words))
    }
}

/// Which implementations are used where there is a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kernels {
    /// Operations written as one where the device has them: whole networks on the
    /// CPU, splines on GPUs.
    #[default]
    Fused,
    /// Burn's tensor operations alone, for comparison.
    Plain,
}

/// A device that was opened and has computed something.
#[derive(Clone, Debug)]
pub struct Compute {
    name: String,
    device: Device,
    is_cpu: bool,
    kernels: Kernels,
}

impl Compute {
    /// Opens a device by name and runs one small operation on it. Fails if the name
    /// is unknown, the backend is not compiled in, or the hardware does not answer.
    pub fn open(name: &str) -> Result<Self, DeviceError> {
        let (family, index) = match name.split_once(':') {
            Some((family, index)) => (family, Some(index)),
            None => (name, None),
        };
        let unknown = || DeviceError::Unknown(name.to_owned());
        if index.is_some_and(|i| i.parse::<u16>().is_err() && !(family == "wgpu" && i == "cpu")) {
            return Err(unknown());
        }
        let device = match (family, index) {
            ("cpu", None) => Device::flex(),
            ("ndarray", None) | ("wgpu" | "cuda", _) => backend(name, family, index)?,
            _ => return Err(unknown()),
        };
        let compute = Self {
            name: name.to_owned(),
            device,
            is_cpu: matches!(family, "cpu" | "ndarray"),
            kernels: Kernels::default(),
        };
        let sum = || compute.tensor(vec![1.0, 2.0], [2]).sum();
        let probe = quiet(|| sum().into_scalar::<f32>());
        let reason = match probe {
            Ok(sum) if (sum - 3.0).abs() < 1e-6 => return Ok(compute),
            Ok(sum) => format!("1 + 2 gave {sum}"),
            Err(reason) => reason,
        };
        Err(unavailable(name, reason))
    }

    /// The same device with other implementations.
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { kernels, ..self }
    }

    /// Whether networks are computed by hand-written code on the host: on the
    /// default CPU backend, if fused operations are wanted. One member may use several
    /// threads there: a batch is computed in tiles whose sums have one order,
    /// whatever the threads. burn's own CPU operations promise no order.
    pub fn has_host_kernels(&self) -> bool {
        self.name == "cpu" && self.kernels == Kernels::Fused
    }

    /// Which implementations are wanted.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the device is this machine's processor driven by threads of the
    /// program, in which case a stack is a few members and a thread trains it.
    pub fn is_cpu(&self) -> bool {
        self.is_cpu
    }

    /// Runs `work`, turning a panic of the backend (lost device, out of memory) into a
    /// [`DeviceError::Failed`] with what the backend said.
    pub fn guard<T>(&self, work: impl FnOnce() -> T) -> Result<T, DeviceError> {
        quiet(work).map_err(|reason| DeviceError::Failed {
            name: self.name.clone(),
            reason,
        })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn tensor<const R: usize>(&self, values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    pub(crate) fn index(&self, places: Vec<i32>) -> Tensor<1, Int> {
        let count = places.len();
        Tensor::from_data(TensorData::new(places, [count]), &self.device)
    }

    /// Rows of one width, `[E, width]`.
    pub(crate) fn pack<'a>(
        &self,
        rows: impl ExactSizeIterator<Item = &'a [f32]>,
        width: usize,
    ) -> Tensor<2> {
        let shape = [rows.len(), width];
        self.tensor(rows.flatten().copied().collect(), shape)
    }
}

/// One line of `sideband devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name to give to `--device`.
    pub name: String,
    /// What it is, or why it cannot be used.
    pub description: String,
    /// Whether it answered.
    pub usable: bool,
}

/// The backends that this binary was built with, by the names of their devices.
pub fn backends() -> Vec<&'static str> {
    let built = [
        ("cpu", true),
        ("ndarray", cfg!(feature = "ndarray")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    let built = built.into_iter().filter(|(_, is_built)| *is_built);
    built.map(|(name, _)| name).collect()
}

/// Every device this binary can name on this machine, usable or not.
pub fn list_devices() -> Vec<DeviceInfo> {
    ["cpu", "ndarray", "wgpu", "cuda"]
        .into_iter()
        .map(|name| {
            let opened = Compute::open(name);
            DeviceInfo {
                name: name.to_owned(),
                usable: opened.is_ok(),
                description: match opened {
                    Ok(compute) => describe(&compute),
                    Err(DeviceError::NotCompiled { .. }) => "not in this binary".to_owned(),
                    Err(DeviceError::Unavailable { reason, .. }) => reason,
                    Err(error) => error.to_string(),
                },
            }
        })
        .collect()
}

/// The instruction set that the CPU backend's matrix products use here.
pub fn cpu_kernel() -> &'static str {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    if std::is_x86_feature_detected!("avx512f") {
        return "AVX-512";
    } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        return "AVX2 + FMA";
    }
    match std::env::consts::ARCH {
        "x86_64" | "x86" => "SSE",
        "aarch64" => "NEON",
        _ => "scalar",
    }
}

fn describe(compute: &Compute) -> String {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match compute.name() {
        "cpu" => format!("burn-flex, {} kernels, {threads} threads", cpu_kernel()),
        "ndarray" => format!("burn-ndarray, {threads} threads"),
        _ => gpu_identity(compute),
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn gpu_identity(compute: &Compute) -> String {
    let identity = quiet(|| compute.device.identity()).ok().flatten();
    identity.map_or_else(|| "available".to_owned(), |identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn gpu_identity(_: &Compute) -> String {
    "available".to_owned()
}

/// The device of a backend that is a cargo feature of its own name.
#[allow(
    unused_variables,
    reason = "the number is for the backends that have one"
)]
fn backend(name: &str, family: &str, index: Option<&str>) -> Result<Device, DeviceError> {
    #[cfg(feature = "ndarray")]
    if family == "ndarray" {
        #[expect(deprecated, reason = "kept until upstream removes it")]
        return Ok(Device::ndarray());
    }
    #[cfg(feature = "wgpu")]
    if family == "wgpu" {
        use burn::tensor::DeviceKind;
        let kind = match index {
            None => DeviceKind::DefaultDevice,
            Some("cpu") => DeviceKind::Cpu,
            Some(i) => DeviceKind::DiscreteGpu(i.parse().unwrap_or(0)),
        };
        return quiet(|| Device::wgpu(kind)).map_err(|reason| unavailable(name, reason));
    }
    #[cfg(feature = "cuda")]
    if family == "cuda" {
        let index: usize = index.and_then(|i| i.parse().ok()).unwrap_or(0);
        return quiet(|| Device::cuda(index)).map_err(|reason| unavailable(name, reason));
    }
    Err(DeviceError::NotCompiled {
        name: name.to_owned(),
        backend: family.to_owned(),
    })
}

fn unavailable(name: &str, reason: String) -> DeviceError {
    DeviceError::Unavailable {
        name: name.to_owned(),
        reason,
    }
}

/// Catches a panic and returns its message. The hook still prints it where one
/// is installed; the binary installs one that stays silent for backends.
fn quiet<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("the backend gave no reason").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_opens_and_says_its_kernel() {
        let compute = Compute::open("cpu").expect("the CPU is always there");
        assert!(compute.is_cpu());
        let known = ["AVX-512", "AVX2 + FMA", "SSE", "NEON", "scalar"];
        assert!(known.contains(&cpu_kernel()), "{}", cpu_kernel());
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            cpu_kernel() == "AVX-512",
            std::is_x86_feature_detected!("avx512f")
        );
    }

    #[test]
    fn names_that_do_not_exist_are_refused() {
        for name in ["gpu", "cpu:1", "cuda:x", "wgpu:-1", "", "cuda:0:1"] {
            let refused = matches!(Compute::open(name), Err(DeviceError::Unknown(_)));
            assert!(refused, "{name}");
        }
    }

    #[test]
    fn a_panic_of_the_backend_becomes_an_error() {
        let compute = Compute::open("cpu").expect("the CPU is always there");
        for (words, of_memory) in [("out of memory", true), ("shape mismatch", false)] {
            let panic = || std::panic::resume_unwind(Box::new(words.to_owned()));
            let error = compute.guard::<()>(panic).expect_err("it panicked");
            assert!(error.to_string().contains(words));
            assert_eq!(error.is_out_of_memory(), of_memory);
        }
    }
}
