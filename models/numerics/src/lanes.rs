//! Lanes of f32 and of f64 with operators, and the choice of the instruction set.
//!
//! A kernel is written once over the registers of one width, [`single::F`] or
//! [`double::F`], and compiled for every instruction set of [`Arch`] by the crate that
//! has it; [`dispatch`] chooses the set at run time. Every lane does the same
//! operations in the same order on all of them, so that a lane's result depends
//! neither on its neighbours nor on the width of the register.

pub use pulp::{Arch, Simd, WithSimd};

/// Computes a kernel in the widest registers of this machine.
#[inline(always)]
pub fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    Arch::new().dispatch(kernel)
}

/// The instruction sets of this machine, the plainest first.
pub fn instruction_sets() -> Vec<Arch> {
    let mut found = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        found.extend(pulp::x86::V3::try_new().map(Arch::V3));
        found.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    found
}

/// The registers of one width, by the names that [`Simd`] has for their operations. The
/// constants are the module's own.
macro_rules! registers {
    (
        $float:ident: $register:ident, $mask:ident;
        $splat:ident, $slice:ident, $slice_mut:ident, $and:ident, $select:ident;
        $mul_add:ident, $max:ident, $min:ident, $neg:ident;
        $($function:ident = $of_one:ident),*;
        $($comparison:ident = $of_two:ident),*;
        $($operator:ident $operate:ident = $of_both:ident),*;
    ) => {
        /// One register of lanes.
        #[derive(Clone, Copy)]
        pub struct F<S: Simd>(S, S::$register);

        /// One register of truth values.
        #[derive(Clone, Copy)]
        pub struct M<S: Simd>(S, S::$mask);

        impl<S: Simd> F<S> {
            /// One value in all lanes.
            #[inline(always)]
            pub fn splat(simd: S, value: $float) -> Self {
                Self(simd, simd.$splat(value))
            }

            /// One value in all lanes of such a register.
            #[inline(always)]
            pub fn constant(self, value: $float) -> Self {
                Self::splat(self.0, value)
            }

            /// The first lanes of a slice.
            #[inline(always)]
            pub fn load(simd: S, from: &[$float]) -> Self {
                Self(simd, S::$slice(from).0[0])
            }

            /// Into the first lanes of a slice.
            #[inline(always)]
            pub fn store(self, to: &mut [$float]) {
                S::$slice_mut(to).0[0] = self.1;
            }

            /// The register of the instruction set's own lanes.
            #[inline(always)]
            pub fn of(simd: S, lanes: S::$register) -> Self {
                Self(simd, lanes)
            }

            /// The instruction set's own lanes.
            #[inline(always)]
            pub fn lanes(self) -> S::$register {
                self.1
            }

            /// `self * factor + term`, rounded once where the machine can.
            #[inline(always)]
            pub fn mul_add(self, factor: Self, term: Self) -> Self {
                Self(self.0, self.0.$mul_add(self.1, factor.1, term.1))
            }

            /// The larger one; `other` where `self` is smaller or either is not a number.
            #[inline(always)]
            pub fn max(self, other: Self) -> Self {
                if S::IS_SCALAR {
                    // pulp's maximum of a single number drops a NaN
                    return self.gt(other).select(self, other);
                }
                Self(self.0, self.0.$max(self.1, other.1))
            }

            /// The smaller one; `other` where `self` is larger or either is not a number.
            #[inline(always)]
            pub fn min(self, other: Self) -> Self {
                if S::IS_SCALAR {
                    return other.gt(self).select(self, other);
                }
                Self(self.0, self.0.$min(self.1, other.1))
            }

            $(
                #[doc = concat!("[`Simd::", stringify!($of_one), "`].")]
                #[inline(always)]
                pub fn $function(self) -> Self {
                    Self(self.0, self.0.$of_one(self.1))
                }
            )*

            $(
                #[doc = concat!("[`Simd::", stringify!($of_two), "`].")]
                #[inline(always)]
                pub fn $comparison(self, other: Self) -> M<S> {
                    M(self.0, self.0.$of_two(self.1, other.1))
                }
            )*

            /// n and r of `self = n ln 2 + r`, the former as an integer in the low bits.
            #[inline(always)]
            fn reduced(self) -> (Self, Self) {
                let by_ln_2 = self.constant(std::$float::consts::LOG2_E);
                let shifted = self.mul_add(by_ln_2, self.constant(ROUND));
                let n = shifted - self.constant(ROUND);
                let r = n.mul_add(self.constant(-LN_2_HIGH), self);
                (shifted, n.mul_add(self.constant(-LN_2_LOW), r))
            }
        }

        impl<S: Simd> M<S> {
            /// Where both are true.
            #[inline(always)]
            pub fn and(self, other: Self) -> Self {
                Self(self.0, self.0.$and(self.1, other.1))
            }

            /// Lane by lane `yes` where true, `no` elsewhere.
            #[inline(always)]
            pub fn select(self, yes: F<S>, no: F<S>) -> F<S> {
                F(self.0, self.0.$select(self.1, yes.1, no.1))
            }

            /// `value` where true, zero elsewhere, whatever `value` is.
            #[inline(always)]
            pub fn keep(self, value: F<S>) -> F<S> {
                self.select(value, F::splat(self.0, 0.0))
            }
        }

        $(
            impl<S: Simd> std::ops::$operator for F<S> {
                type Output = Self;
                #[inline(always)]
                fn $operate(self, other: Self) -> Self {
                    Self(self.0, self.0.$of_both(self.1, other.1))
                }
            }
        )*

        impl<S: Simd> std::ops::Neg for F<S> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(self.0, self.0.$neg(self.1))
            }
        }
    };
}

pub mod double;
pub mod single;
#[cfg(test)]
mod tests;
