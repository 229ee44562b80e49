//! The calling convention, in one place.

/// Gives callback types and callbacks their calling convention. Takes whole items, written `extern "C"`:
///
/// ```
/// trait Greeter { const ANSWER: i32; }
/// ndk_types::abi! {
///     /// A callback type.
///     pub type GREET = Option<unsafe extern "C" fn(times: u32) -> i32>;
///
///     /// A callback, generic.
///     unsafe extern "C" fn greet<G: Greeter>(times: u32) -> i32 {
///         G::ANSWER * times as i32
///     }
/// }
/// # struct Loud;
/// # impl Greeter for Loud { const ANSWER: i32 = 21; }
/// let callback: GREET = Some(greet::<Loud>);
/// // SAFETY: `greet` asks nothing of its caller.
/// assert_eq!(unsafe { callback.unwrap()(2) }, 42);
/// ```
///
/// On Windows, and on other machines than x86_64, they stay `extern "C"`; elsewhere they become `extern "win64"`.
#[macro_export]
macro_rules! abi {
    () => {};
    (
        $(#[$meta:meta])*
        $vis:vis type $name:ident = Option<unsafe extern "C" fn($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?>;
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[cfg(all(target_arch = "x86_64", not(windows)))]
        $vis type $name = Option<unsafe extern "win64" fn($($arg: $type),*) $(-> $ret)?>;
        $(#[$meta])*
        #[cfg(not(all(target_arch = "x86_64", not(windows))))]
        $vis type $name = Option<unsafe extern "C" fn($($arg: $type),*) $(-> $ret)?>;
        $crate::abi! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $vis:vis unsafe extern "C" fn $name:ident $(<$($generic:ident: $bound:path),+ $(,)?>)?
        ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[cfg(all(target_arch = "x86_64", not(windows)))]
        $vis unsafe extern "win64" fn $name $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $ret)? $body
        $(#[$meta])*
        #[cfg(not(all(target_arch = "x86_64", not(windows))))]
        $vis unsafe extern "C" fn $name $(<$($generic: $bound),+>)? ($($arg: $type),*) $(-> $ret)? $body
        $crate::abi! { $($rest)* }
    };
}
